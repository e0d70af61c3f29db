package csvledger

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
	"loteria/internal/durable"
)

// diskFile is a file whose Sync leaves out what is not needed to read the data
// back, such as the time of modification.
type diskFile struct{ *os.File }

func (f diskFile) Sync() error {
	return os.NewSyscallError("fdatasync", retried(func() error { return unix.Fdatasync(int(f.Fd())) }))
}

// retried repeats a call that a signal has interrupted.
func retried(call func() error) error {
	for {
		if err := call(); err != unix.EINTR {
			return err
		}
	}
}

// unsyncedFile is a file that the operating system writes when it likes.
type unsyncedFile struct{ file }

func (unsyncedFile) Sync() error { return nil }

// readOnlyFile is the file of a contest that is drawn: nothing is done to it, and
// nothing depends on it any more.
type readOnlyFile struct{ *os.File }

func (readOnlyFile) Sync() error        { return nil }
func (readOnlyFile) Verify(int64) error { return nil }

func folderSyncFailure(path string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, unix.EINVAL), errors.Is(err, errors.ErrUnsupported):
		return fmt.Errorf("sync the folder %s: %w: its file system cannot do that, so a crash of the machine may take the files: "+
			"use a folder on another one, or --fsync=never, which promises nothing after such a crash", path, err)
	}
	return fmt.Errorf("sync the folder %s: %w", path, err)
}

// disk is what replaceFile and writeOnce need of the operating system. Tests put
// one in its place that fails or loses power.
type disk interface {
	create(path string) (newFile, error)
	rename(from, to string) error
	renameNew(from, to string) error // gives fs.ErrExist when to exists
	syncFolder(path string) error
}

// newFile is a file that is being written.
type newFile interface {
	io.WriteCloser
	Sync() error
}

type realDisk struct{}

func (realDisk) create(path string) (newFile, error) { return os.Create(path) }
func (realDisk) rename(from, to string) error        { return os.Rename(from, to) }
func (realDisk) syncFolder(path string) error {
	return folderSyncFailure(path, durable.SyncFolder(path))
}

func (realDisk) renameNew(from, to string) error {
	err := unix.Renameat2(unix.AT_FDCWD, from, unix.AT_FDCWD, to, unix.RENAME_NOREPLACE)
	switch {
	case err == nil:
		return nil
	case !errors.Is(err, unix.EINVAL) && !errors.Is(err, errors.ErrUnsupported):
		return &os.LinkError{Op: "rename", Old: from, New: to, Err: err}
	}
	return renameUnlessThere(from, to)
}

// renameUnlessThere is for file systems that cannot rename without replacing (NFS):
// other writers must be locked out.
func renameUnlessThere(from, to string) error {
	if err := durable.CheckFree(to); err != nil {
		return err
	}
	return os.Rename(from, to)
}

// unsyncedDisk is a disk whose folders the operating system writes when it
// likes.
type unsyncedDisk struct{ disk }

func (unsyncedDisk) syncFolder(string) error { return nil }

// replaceFile puts content at path so that after a crash at any moment either
// the old content or the new one is there, whole.
func replaceFile(d disk, path string, content []byte) error {
	return putFile(d, path, content, d.rename)
}

// writeOnce puts content at path, where there must be nothing, so that after a
// crash at any moment nothing is there, or the content, whole.
func writeOnce(d disk, path string, content []byte) error {
	return putFile(d, path, content, d.renameNew)
}

func putFile(d disk, path string, content []byte, rename func(from, to string) error) error {
	temporary := path + ".new"
	f, err := d.create(temporary)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err == nil {
		err = f.Sync()
	}
	if e := f.Close(); err == nil {
		err = e
	}
	if err == nil {
		err = rename(temporary, path)
	}
	if err != nil {
		return err
	}
	return d.syncFolder(filepath.Dir(path))
}
