package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"os"
	"path/filepath"
)

// profiled calls do, and takes a CPU profile of the central with that admin port
// meanwhile, if profiles are wanted. The last round's profile stays:
//
//	go tool pprof -top -cum bin/server run/profiles/lockstep-5.pprof
func (l *lab) profiled(admin, name string, do func() error) error {
	if l.profiles == "" {
		return do()
	}
	ctx, cancel := context.WithCancel(l.Ctx)
	defer cancel()
	taken := make(chan error, 1)
	go func() { taken <- l.profile(ctx, admin, filepath.Join(l.profiles, name+".pprof")) }()
	if err := do(); err != nil {
		cancel()
		<-taken
		return err
	}
	return <-taken
}

func (l *lab) profile(ctx context.Context, admin, path string) error {
	url := fmt.Sprintf("http://%s/debug/pprof/profile?seconds=%.0f", admin, math.Ceil(l.Duration.Seconds()))
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s is answered %s", url, response.Status)
	}
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	_, err = io.Copy(file, response.Body)
	return errors.Join(err, file.Close())
}
