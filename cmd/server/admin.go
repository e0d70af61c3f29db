package main

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/rs/zerolog"
	"loteria/cmd/internal/admin"
	"loteria/cmd/internal/settings"
	"loteria/internal/certs"
	"loteria/reactor"
)

// pageWait is how long a central waits at its start until it is known where its page
// is.
const pageWait = 2 * time.Second

// newAdmin returns the admin server, and the function that closes it. Without an
// address only server ctl can query it. certificates may be nil.
func newAdmin(c config, certificates *certs.Store, log zerolog.Logger, journal reactor.Journal) (adminServer *admin.Server, closeAdmin func(), err error) {
	config := admin.Config{
		Address:  c.admin,
		Contest:  c.contest,
		Central:  c.sharedName(),
		Agencies: c.expectedAgencies,
		Deadline: c.drawDeadline,
		Hosts:    c.adminHosts,
		Profiles: c.profiles,
		Log:      log,
		Journal:  journal,
	}
	if c.admin != "" && c.adminAccess.tls {
		config.TLS = certificates.ServerConfig
	}
	if c.admin != "" && c.adminAccess.tokenFile != "" {
		file, err := admin.OpenToken(c.adminAccess.tokenFile, log)
		if err != nil {
			return nil, nil, &settings.Error{Key: "ADMIN_TOKEN_FILE", Problem: err.Error()}
		}
		config.Token = file.Token
	}
	adminServer = admin.New(config)
	if certificates != nil {
		adminServer.ShowCertificate(func() time.Time { return certificates.Status().Expires })
	}
	// It runs from before the ledger is read until after that is closed.
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { adminServer.Run(ctx) })
	select {
	case <-adminServer.Tried(): // who waits until the central listens has read of its page then
	case <-time.After(pageWait): // the address is a name that nobody resolves: bets matter more
	}
	return adminServer, func() {
		cancel()
		running.Wait()
	}, nil
}

// showLedger shows a remote ledger, even before it is open. The caller calls opened
// when it is; until then waits has the reason.
func showLedger(adminServer *admin.Server, at place, waits *waiting) (opened func(ledger)) {
	var open atomic.Pointer[ledger]
	if at.isFar() {
		adminServer.HealthBy(func() admin.LedgerHealth {
			if l := open.Load(); l != nil {
				return (*l).health()
			}
			problem := "the ledger's servers are waited for"
			if reason := waits.reason(); reason != nil {
				problem += ": " + reason.Error()
			}
			return admin.LedgerHealth{Problem: problem}
		})
	}
	return func(l ledger) { open.Store(&l) }
}

// announce tells the admin server when the central stops, and systemd, if that has
// started it, also when it is ready
// (https://www.freedesktop.org/software/systemd/man/latest/sd_notify.html). It
// returns when ctx is done.
func announce(ctx context.Context, server *reactor.Server, adminServer *admin.Server, log zerolog.Logger) {
	notify := func(state string) {
		if _, err := daemon.SdNotify(false, state); err != nil {
			log.Warn().Str("action", "notify_systemd").Str("result", "fail").Err(err).Send()
		}
	}
	select {
	case <-server.Ready():
		notify(daemon.SdNotifyReady)
		<-ctx.Done()
	case <-ctx.Done():
	}
	adminServer.Stopping()
	notify(daemon.SdNotifyStopping)
}
