package admin

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"
)

const (
	// minToken is the least length of a token: even 16 letters of one case are more
	// than anybody can try.
	minToken = 16
	maxToken = 256

	// tokenPeriod is the least time between two reads of a token.
	tokenPeriod = time.Second
)

// TokenFile is a file whose first line is a token. It is reread on use, at most
// once a second, so that the token can be changed without a stop.
type TokenFile struct {
	path  string
	log   zerolog.Logger
	token atomic.Pointer[string]

	reading sync.Mutex // one at a time reads; the others take what there is
	read    time.Time  // when it was last
	problem string     // why that failed
	period  time.Duration
}

// OpenToken reads a file. Its error says what is wrong with the file, and what a
// token must be.
func OpenToken(path string, log zerolog.Logger) (*TokenFile, error) {
	token, err := readToken(path)
	if err != nil {
		return nil, err
	}
	f := &TokenFile{path: path, log: log, read: time.Now(), period: tokenPeriod}
	f.token.Store(&token)
	return f, nil
}

// Token returns the token in the file. While the file cannot be used, which is
// logged, it is the last one.
func (f *TokenFile) Token() string {
	if f.reading.TryLock() {
		defer f.reading.Unlock()
		if time.Since(f.read) >= f.period {
			f.reload()
			f.read = time.Now()
		}
	}
	return *f.token.Load()
}

func (f *TokenFile) reload() {
	token, err := readToken(f.path)
	if err != nil {
		if f.problem != err.Error() {
			f.problem = err.Error()
			f.log.Error().Str("action", "reload_admin_token").Str("result", "fail").Err(err).Send()
		}
		return
	}
	if token != *f.token.Load() || f.problem != "" {
		f.problem = ""
		f.token.Store(&token)
		f.log.Info().Str("action", "reload_admin_token").Str("result", "success").Str("file", f.path).Send()
	}
}

func readToken(path string) (token string, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("the token of the admin port: %w", err)
		}
	}()
	info, err := os.Stat(path)
	if err != nil {
		return "", err
	}
	if !info.Mode().IsRegular() { // a pipe could block, and be read once only
		return "", fmt.Errorf("%s is no regular file", path)
	}
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer file.Close()
	content, err := io.ReadAll(io.LimitReader(file, maxToken+2)) // with the end of the line
	if err != nil {
		return "", err
	}
	token, err = parseToken(content)
	if err != nil {
		return "", fmt.Errorf("%s: %w", path, err)
	}
	return token, nil
}

// parseToken returns the first line. Its errors do not reveal the token.
func parseToken(content []byte) (string, error) {
	line, _, _ := bytes.Cut(content, []byte("\n"))
	line = bytes.TrimSuffix(line, []byte("\r"))
	switch {
	case len(line) == 0:
		return "", errors.New("the first line is empty; it has to be the token")
	case len(line) > maxToken:
		return "", fmt.Errorf("the first line has more than %d characters; a token has from %d to %d", maxToken, minToken, maxToken)
	}
	for i, c := range line {
		if c <= ' ' || c > '~' {
			return "", fmt.Errorf("character %d of the first line is no printable one of ASCII, or a space; a token has neither", i+1)
		}
	}
	if len(line) < minToken {
		return "", fmt.Errorf("the first line has %d characters; a token has from %d to %d", len(line), minToken, maxToken)
	}
	return string(line), nil
}
