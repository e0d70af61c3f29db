package durable

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// holds fails the test unless the folder has exactly these files, as name=content,
// with a link as name=>target.
func holds(t *testing.T, folder string, want ...string) {
	t.Helper()
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, entry := range entries {
		path := filepath.Join(folder, entry.Name())
		if target, err := os.Readlink(path); err == nil {
			got = append(got, entry.Name()+"=>"+target)
			continue
		}
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, entry.Name()+"="+string(content))
	}
	if !slices.Equal(got, want) {
		t.Errorf("the folder has %q, expected %q", got, want)
	}
}

func TestWrites(t *testing.T) {
	broken := errors.New("broken")
	create := func(path string) error { return Create(path, 0o600, []byte("new")) }
	replace := func(path string) error { return Replace(path, 0o644, []byte("new")) }
	move := func(path string) error {
		from := filepath.Join(t.TempDir(), "from")
		if err := os.WriteFile(from, []byte("new"), 0o600); err != nil {
			return err
		}
		return Move(from, path)
	}
	fail := func(path string) error {
		return CreateWith(path, 0o600, func(w io.Writer) error {
			_, err := w.Write([]byte("half"))
			return errors.Join(err, broken)
		})
	}
	file := func(path string) error { return os.WriteFile(path, []byte("old"), 0o600) }
	link := func(path string) error { return os.Symlink("nowhere", path) }
	nothing := func(string) error { return nil }
	for name, test := range map[string]struct {
		there, write func(path string) error
		err          error
		holds        []string
		mode         fs.FileMode
	}{
		"create":                  {nothing, create, nil, []string{"file=new"}, 0o600},
		"create over a file":      {file, create, fs.ErrExist, []string{"file=old"}, 0o600},
		"create over a link":      {link, create, fs.ErrExist, []string{"file=>nowhere"}, 0},
		"create what breaks":      {nothing, fail, broken, nil, 0},
		"replace":                 {file, replace, nil, []string{"file=new"}, 0o644},
		"replace nothing":         {nothing, replace, nil, []string{"file=new"}, 0o644},
		"move":                    {nothing, move, nil, []string{"file=new"}, 0o600},
		"move over a file":        {file, move, fs.ErrExist, []string{"file=old"}, 0o600},
		"move over a link":        {link, move, fs.ErrExist, []string{"file=>nowhere"}, 0},
		"a name that is free":     {nothing, CheckFree, nil, nil, 0},
		"a name that is taken":    {file, CheckFree, fs.ErrExist, []string{"file=old"}, 0o600},
		"a name that is a link's": {link, CheckFree, fs.ErrExist, []string{"file=>nowhere"}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			folder := t.TempDir()
			path := filepath.Join(folder, "file")
			if err := test.there(path); err != nil {
				t.Fatal(err)
			}
			if err := test.write(path); !errors.Is(err, test.err) {
				t.Errorf("the error is %v, expected %v", err, test.err)
			}
			holds(t, folder, test.holds...)
			if info, err := os.Lstat(path); test.mode != 0 && (err != nil || info.Mode() != test.mode) {
				t.Errorf("it has the mode %v (%v), expected %v", info.Mode(), err, test.mode)
			}
		})
	}
}

// An error names the file that was asked for, not the hidden one beside it.
func TestErrorsNameTheFile(t *testing.T) {
	folder := t.TempDir()
	path := filepath.Join(folder, "file")
	if err := os.Mkdir(path, 0o700); err != nil {
		t.Fatal(err)
	}
	none := filepath.Join(folder, "none", "file")
	for want, err := range map[string]error{
		"open " + none + ": no such file or directory": Create(none, 0o600, nil),
		"link " + path + ": file exists":               Create(path, 0o600, nil),
		"rename " + path + ": file exists":             Replace(path, 0o600, nil),
		"write " + path + ".new: file already closed": CreateWith(path+".new", 0o600, func(w io.Writer) error {
			if err := w.(writer).file.Close(); err != nil {
				return err
			}
			_, err := w.Write([]byte("more"))
			return err
		}),
	} {
		if err == nil || err.Error() != want {
			t.Errorf("the error is %v, expected %s", err, want)
		}
	}
}

// Where there is no folder, the error says so.
func TestNoFolder(t *testing.T) {
	path := filepath.Join(t.TempDir(), "none", "file")
	for name, err := range map[string]error{
		"create":  Create(path, 0o600, nil),
		"replace": Replace(path, 0o600, nil),
		"sync":    SyncFolder(filepath.Dir(path)),
	} {
		if !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := SyncFolder(t.TempDir()); err != nil {
		t.Error(err)
	}
}
