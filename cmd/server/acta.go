package main

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"time"

	"github.com/rs/zerolog"
	"loteria/cmd/internal/admin"
	"loteria/internal/certs"
	"loteria/lottery"
	"loteria/lottery/acta"
)

// actaRetry is the pause between two tries to make and keep an acta.
const actaRetry = time.Minute

// actaKeeper keeps the acta of one contest: it verifies an existing one before the
// central accepts connections, or makes one when the draw is made.
type actaKeeper struct {
	at       place
	folder   string // of acta.json
	unsynced bool
	contest  string             // its name; may be empty
	key      ed25519.PrivateKey // nil signs nothing
	show     func(admin.Acta)
	log      zerolog.Logger
	retry    time.Duration
	isKept   bool // it existed at the start, and matches
}

// newActaKeeper returns the keeper of the configured contest's acta. The error is
// about the configuration.
func newActaKeeper(c config, show func(admin.Acta), log zerolog.Logger) (*actaKeeper, error) {
	key, err := c.acta.signingKey()
	if err != nil {
		return nil, err
	}
	if key != nil {
		if warning := certs.KeyWarning(c.acta.key); warning != "" {
			log.Warn().Str("action", "check_acta_key").Str("result", "success").Str("reason", warning).Send()
		}
	}
	return &actaKeeper{at: c.place(), folder: c.folder(), unsynced: c.noSync, contest: c.contest,
		key: key, show: show, log: log, retry: actaRetry}, nil
}

func (k *actaKeeper) path() string { return filepath.Join(k.folder, actaFile) }

// verify compares the existing acta, if any, with the contest. An error means that
// the contest's winners must not be told. It waits until ctx is done for servers
// that do not answer.
func (k *actaKeeper) verify(ctx context.Context, waits *waiting) error {
	kept, made, err := loadActa(k.folder)
	if err != nil {
		return fmt.Errorf("the acta of the draw cannot be verified: %w", err)
	}
	if kept == nil {
		return nil
	}
	compared, err := untilThere(ctx, k.at, k.log, waits, func() (*comparison, error) {
		c, err := compareActa(ctx, k.at, kept, k.contest, publicOf(k.key))
		if err != nil && k.at.isFar() && !isDifference(err) {
			err = fmt.Errorf("%w: %w", lottery.ErrUnavailable, err)
		}
		return c, err
	})
	if isDifference(err) {
		return fmt.Errorf("the contest and its acta %s are not of one draw: %w\nnobody is told winners from it: docs/acta.md says what to do", k.path(), err)
	}
	if err != nil {
		return err
	}
	k.isKept = true
	k.tell(compared.acta, kept, made, "it is that of the ledger")
	return nil
}

// start calls run in a goroutine. The returned function waits until that ends, or
// the stop is over.
func (k *actaKeeper) start(contest *lottery.Contest, stopping, over <-chan struct{}) (end func()) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		k.run(ctx, contest, stopping)
	}()
	return func() {
		defer cancel()
		select {
		case <-ended:
		case <-over: // the next start makes it
		}
	}
}

// run makes and keeps the acta once the draw is made, and retries what fails. It
// returns when the acta is kept or differs, when ctx is done, or, before the draw
// or between two tries, when stopping is closed: then the next start makes it.
func (k *actaKeeper) run(ctx context.Context, contest *lottery.Contest, stopping <-chan struct{}) {
	select {
	case <-contest.Drawn():
	case <-stopping:
		if contest.Phase() != lottery.Drawn {
			return
		}
	}
	if k.isKept {
		return
	}
	var made *madeActa
	for reason := ""; ; {
		var err error
		if made == nil {
			made, err = k.make(ctx)
		}
		if err == nil {
			err = k.keep(made)
		}
		switch {
		case err == nil, ctx.Err() != nil:
			return
		case isDifference(err):
			k.log.Error().Str("action", "acta").Str("result", "fail").Str("file", k.path()).Err(err).Send()
			return
		case err.Error() != reason:
			reason = err.Error()
			k.log.Warn().Str("action", "acta").Str("result", "in_progress").Str("file", k.path()).Err(err).
				Stringer("again_every", k.retry).Send()
		}
		select {
		case <-time.After(k.retry):
		case <-stopping:
			return
		}
	}
}

// madeActa is an acta to keep, and what it was made from.
type madeActa struct {
	rows    *acta.Builder
	contest acta.Contest
	acta    *acta.Acta
	content []byte // of acta.json
}

// make reads the contest and makes its acta.
func (k *actaKeeper) make(ctx context.Context) (*madeActa, error) {
	rows := acta.NewBuilder()
	found, err := k.at.read(ctx, rows.Add)
	if err == nil && found.state != string(lottery.Drawn) {
		err = fmt.Errorf("%s is not drawn, but %s", found.place, found.state)
	}
	if err != nil {
		return nil, fmt.Errorf("read the contest for its acta: %w", err)
	}
	contest := found.contest(k.contest)
	a, err := rows.Acta(contest)
	if err != nil {
		return nil, fmt.Errorf("make the acta: %w", err)
	}
	return &madeActa{rows, contest, a, a.Seal(k.key)}, nil
}

// keep stores an acta in the folder, unless another central has stored one
// meanwhile. The error is a *acta.DifferenceError when the two differ.
func (k *actaKeeper) keep(made *madeActa) error {
	keeping := keepActa(k.folder, made.content, k.unsynced)
	if keeping != nil && !errors.Is(keeping, fs.ErrExist) {
		return keeping
	}
	kept, at, err := loadActa(k.folder)
	if err != nil {
		return err
	}
	a := made.acta
	if !bytes.Equal(kept, made.content) {
		if a, err = made.rows.Check(kept, made.contest, publicOf(k.key)); err != nil {
			return err
		}
	}
	k.tell(a, kept, at, "")
	return nil
}

// tell shows and logs an acta. kept is its file's content.
func (k *actaKeeper) tell(a *acta.Acta, kept []byte, made time.Time, note string) {
	shown := admin.Acta{Made: made, SHA256: digestOf(kept), Signed: a.Signature != nil}
	k.show(shown)
	line := k.log.Info().Str("action", "acta").Str("result", "success").Str("file", k.path()).
		Str("sha256", shown.SHA256).Bool("signed", shown.Signed)
	if note != "" {
		line = line.Str("note", note)
	}
	line.Send()
}

// digestOf returns the file's digest, as sha256sum does.
func digestOf(kept []byte) string { return acta.Digest(sha256.Sum256(kept)).String() }

func isDifference(err error) bool {
	return errors.As(err, new(*acta.DifferenceError))
}

// contest returns what an acta says of the contest.
func (r *report) contest(name string) acta.Contest {
	if r.state == "none" {
		return acta.Contest{Name: name}
	}
	return acta.Contest{Name: name, Terms: r.terms, Times: r.times, Endings: r.endings}
}

// comparison is of an acta with a contest.
type comparison struct {
	acta  *acta.Acta // nil when it could not be read
	rows  *acta.Builder
	found report
}

// compareActa reads a contest and compares it with an acta's content. signer is the
// key that must have signed that; nil allows any, or none. The error is a
// *acta.DifferenceError, or why the contest could not be read: it may be damaged.
// The comparison is valid as far as it went, also with an error.
func compareActa(ctx context.Context, at place, kept []byte, name string, signer ed25519.PublicKey) (*comparison, error) {
	c := &comparison{rows: acta.NewBuilder()}
	var err error
	if c.found, err = at.read(ctx, c.rows.Add); err != nil {
		return c, err
	}
	if state := c.found.state; state != string(lottery.Drawn) && state != "none" {
		return c, &acta.DifferenceError{Differences: []string{
			fmt.Sprintf("%s is not drawn, but %s, and there is an acta of its draw", c.found.place, state)}}
	}
	c.acta, err = c.rows.Check(kept, c.found.contest(name), signer)
	if err == nil && c.found.torn > 0 {
		err = &acta.DifferenceError{Differences: []string{
			fmt.Sprintf("%s has %d bytes after its last row, which the acta does not have", c.found.place, c.found.torn)}}
	}
	return c, err
}
