package main

import (
	"debug/elf"
	"fmt"
	"path/filepath"

	"loteria/bench/generator"
	"loteria/bench/process"
)

// size compares the program's size with the older one's.
func size(l *lab) ([]row, error) {
	const goal = 8e6
	if l.before == "" {
		return nil, nil
	}
	now, err := programSize(filepath.Join(l.Bin, "server"))
	if err != nil {
		return nil, err
	}
	before, err := programSize(filepath.Join(l.before, "server"))
	if err != nil {
		return nil, err
	}
	grown := max(now-before, 1) // no division by zero
	return []row{verdict("growth of the image, which is the program without symbols", "< 8 MB", fmt.Sprintf("%.1f MB", grown/1e6),
		fmt.Sprintf("%.1f MB, before %.1f MB", now/1e6, before/1e6), goal/grown)}, nil
}

// programSize returns the bytes of a program that are loaded: what the linker
// leaves with -s -w, as in server/Dockerfile.
func programSize(path string) (float64, error) {
	file, err := elf.Open(path)
	if err != nil {
		return 0, err
	}
	defer file.Close()
	var size uint64
	for _, segment := range file.Progs {
		if segment.Type == elf.PT_LOAD {
			size += segment.Filesz
		}
	}
	return float64(size), nil
}

// folder compares a central on a folder with the older one.
func folder(l *lab) ([]row, error) {
	const goal = 0.97 // rounds of the same program differ by as much
	if l.before == "" {
		return nil, nil
	}
	loads := []struct {
		name                string
		connections, window int
	}{
		{"one agency in lock-step", 1, 1},
		{"5 agencies in lock-step", 5, 1},
		{"64 agencies in lock-step", 64, 1},
		{fmt.Sprintf("5 agencies with a window of %d batches", window), 5, window},
	}
	programs := []string{l.Bin, l.before}
	all := make([][2]series, len(loads))
	round := 0
	err := l.Repeat("central on a folder", func() error {
		round++
		for i, load := range loads {
			for turn := range programs {
				which := (turn + round) % len(programs) // the second finds a warm disk
				err := l.withFolder(programs[which], load.connections, func(s *process.Server) error {
					measured, err := l.Load(&generator.Central{Address: s.Address}, load.connections, load.window)
					if err == nil {
						all[i][which].add(measured)
					}
					return err
				})
				if err != nil {
					return fmt.Errorf("%s: %w", load.name, err)
				}
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	var rows []row
	for i, load := range loads {
		now, before := &all[i][0], &all[i][1]
		ratio := now.to(before)
		rows = append(rows, verdict("bets/s of a central on a folder, to the one before, "+load.name, fmt.Sprintf("≥ %.2f ×", goal),
			fmt.Sprintf("%.2f ×: %v", ratio, now), "before "+before.String(), ratio/goal))
	}
	return rows, nil
}
