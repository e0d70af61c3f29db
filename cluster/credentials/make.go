package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nkeys"
)

// Denied are the subjects that a central must not publish to: they delete what
// is stored, or change a stream. The settings deny_delete and deny_purge of a
// stream do not stop all of that.
var Denied = []string{
	"$JS.API.STREAM.DELETE.>",
	"$JS.API.STREAM.UPDATE.>",
	"$JS.API.STREAM.PURGE.>",
	"$JS.API.STREAM.MSG.DELETE.>",
	"$JS.API.STREAM.RESTORE.>",
	"$JS.API.STREAM.PEER.REMOVE.>",
}

// accountName names the account that has the streams of all contests.
const accountName = "LOTERIA"

// provide makes all files below a folder. made is false if they all exist.
func provide(folder string, routes []string) (made bool, err error) {
	files, err := create(routes)
	if err != nil {
		return false, err
	}
	var there, missing []string
	for name := range files {
		switch _, err := os.Stat(filepath.Join(folder, name)); {
		case err == nil:
			there = append(there, name)
		case errors.Is(err, fs.ErrNotExist):
			missing = append(missing, name)
		default:
			return false, err
		}
	}
	switch {
	case len(missing) == 0:
		return false, nil
	case len(there) > 0:
		return false, fmt.Errorf("%s has %s and not %s: what is made together belongs together, so empty it (or remove its volumes)",
			folder, strings.Join(there, ", "), strings.Join(missing, ", "))
	}
	for name, content := range files {
		path := filepath.Join(folder, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return false, err
		}
		if err := os.WriteFile(path, content, 0o400); err != nil {
			return false, err
		}
	}
	return true, nil
}

// create returns the content of each file.
func create(routes []string) (map[string][]byte, error) {
	var failed error
	key := func(make func() (nkeys.KeyPair, error)) (pair nkeys.KeyPair, public string, seed []byte) {
		pair, err := make()
		if err == nil {
			public, err = pair.PublicKey()
		}
		if err == nil {
			seed, err = pair.Seed()
		}
		failed = errors.Join(failed, err)
		return pair, public, seed
	}
	sign := func(claims jwt.Claims, by nkeys.KeyPair) string {
		token, err := claims.Encode(by)
		failed = errors.Join(failed, err)
		return token
	}
	user := func(name string, account nkeys.KeyPair, denied ...string) []byte {
		_, public, seed := key(nkeys.CreateUser)
		if failed != nil {
			return nil
		}
		claims := jwt.NewUserClaims(public)
		claims.Name = name
		claims.Pub.Deny.Add(denied...)
		creds, err := jwt.FormatUserConfig(sign(claims, account), seed)
		failed = errors.Join(failed, err)
		return creds
	}

	operator, operatorID, operatorSeed := key(nkeys.CreateOperator)
	system, systemID, systemSeed := key(nkeys.CreateAccount)
	account, accountID, accountSeed := key(nkeys.CreateAccount)
	if failed != nil {
		return nil, failed
	}
	operatorClaims := jwt.NewOperatorClaims(operatorID)
	operatorClaims.Name = "loteria"
	operatorClaims.SystemAccount = systemID
	systemClaims := jwt.NewAccountClaims(systemID)
	systemClaims.Name = "SYS"
	accountClaims := jwt.NewAccountClaims(accountID)
	accountClaims.Name = accountName
	accountClaims.Limits.JetStreamLimits = jwt.JetStreamLimits{
		MemoryStorage: jwt.NoLimit, DiskStorage: jwt.NoLimit, Streams: jwt.NoLimit, Consumer: jwt.NoLimit,
	}
	// The strings need no quoting: letters, digits, - and _, and what check has let through.
	accounts := fmt.Sprintf("operator: %q\nsystem_account: %q\nresolver: MEMORY\nresolver_preload: {\n    %s: %q\n    %s: %q\n}\n",
		sign(operatorClaims, operator), systemID,
		systemID, sign(systemClaims, operator), accountID, sign(accountClaims, operator))
	password := rand.Text()
	list := make([]string, len(routes))
	for i, route := range routes {
		list[i] = fmt.Sprintf("%q", "nats://routes:"+password+"@"+route)
	}
	files := map[string][]byte{
		"nats/accounts.conf":      []byte(accounts),
		"nats/routes.conf":        fmt.Appendf(nil, "authorization { user: routes, password: %q }\nroutes: [%s]\n", password, strings.Join(list, ", ")),
		"central/central.creds":   user("central", account, Denied...),
		"operator/operator.creds": user("operator", account),
		"operator/system.creds":   user("system", system),
		"operator/operator.nk":    operatorSeed,
		"operator/account.nk":     accountSeed,
		"operator/system.nk":      systemSeed,
	}
	return files, failed
}
