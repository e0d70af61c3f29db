package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// startServer runs a server on a configuration file like deploy/nats/cluster.conf,
// with free ports, a folder of its own and no other servers.
func startServer(t *testing.T, credentials string) *server.Server {
	t.Helper()
	opts := composeOptions(t, credentials)
	opts.Host, opts.Port, opts.HTTPHost, opts.HTTPPort = "127.0.0.1", server.RANDOM_PORT, "", 0
	opts.Cluster, opts.Routes = server.ClusterOpts{}, nil
	opts.StoreDir, opts.NoSigs, opts.NoLog = t.TempDir(), true, true
	s, err := server.NewServer(opts)
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	if !s.ReadyForConnections(20 * time.Second) {
		t.Fatal("the server takes no connections")
	}
	return s
}

// composeOptions reads deploy/nats/cluster.conf, with these credentials beside
// it.
func composeOptions(t *testing.T, credentials string) *server.Options {
	t.Helper()
	content, err := os.ReadFile("../../deploy/nats/cluster.conf")
	if err != nil {
		t.Fatal(err)
	}
	// The container has them in two folders.
	folder := t.TempDir()
	for name, source := range map[string]string{"config/cluster.conf": "", "credentials/accounts.conf": "nats", "credentials/routes.conf": "nats"} {
		text := content
		if source != "" {
			if text, err = os.ReadFile(filepath.Join(credentials, source, filepath.Base(name))); err != nil {
				t.Fatal(err)
			}
		}
		path := filepath.Join(folder, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("NATS_NAME", "nats-1")
	opts, err := server.ProcessConfigFile(filepath.Join(folder, "config", "cluster.conf"))
	if err != nil {
		t.Fatal(err)
	}
	return opts
}

func makeCredentials(t *testing.T) (folder string) {
	t.Helper()
	folder = t.TempDir()
	var stdout, stderr bytes.Buffer
	if code := run([]string{"--out", folder, "--routes", "nats-1:6222,nats-2:6222,nats-3:6222"}, &stdout, &stderr); code != 0 {
		t.Fatalf("exit code %d: %s", code, &stderr)
	}
	return folder
}

// A central may do what it needs, and nothing that removes bets.
func TestWhatACentralMay(t *testing.T) {
	folder := makeCredentials(t)
	s := startServer(t, folder)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	connect := func(creds string) jetstream.JetStream {
		t.Helper()
		conn, err := nats.Connect(s.ClientURL(), nats.UserCredentials(filepath.Join(folder, creds)),
			nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {})) // refusals are awaited below
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(conn.Close)
		js, err := jetstream.New(conn)
		if err != nil {
			t.Fatal(err)
		}
		return js
	}
	if conn, err := nats.Connect(s.ClientURL()); err == nil {
		conn.Close()
		t.Error("who has no credentials is let in")
	}

	central := connect("central/central.creds")
	config := jetstream.StreamConfig{Name: "loteria-x", Subjects: []string{"x.>"}, Storage: jetstream.FileStorage}
	stream, err := central.CreateStream(ctx, config)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := central.Publish(ctx, "x.bets.1", []byte("row")); err != nil {
		t.Fatal(err)
	}
	if consumer, err := stream.OrderedConsumer(ctx, jetstream.OrderedConsumerConfig{}); err != nil {
		t.Error(err)
	} else if message, err := consumer.Next(jetstream.FetchMaxWait(10 * time.Second)); err != nil || string(message.Data()) != "row" {
		t.Errorf("the central reads %v, %v", message, err)
	}
	if _, err := stream.GetMsg(ctx, 1); err != nil {
		t.Error(err)
	}
	for what, try := range map[string]func(context.Context) error{
		"delete the stream": func(ctx context.Context) error { return central.DeleteStream(ctx, config.Name) },
		"purge the stream":  func(ctx context.Context) error { return stream.Purge(ctx) },
		"delete a message":  func(ctx context.Context) error { return stream.DeleteMsg(ctx, 1) },
		"change the stream": func(ctx context.Context) error {
			changed := config
			changed.MaxMsgs = 1
			_, err := central.UpdateStream(ctx, changed)
			return err
		},
		"restore a stream": func(ctx context.Context) error {
			_, err := central.Conn().RequestWithContext(ctx, "$JS.API.STREAM.RESTORE.y", []byte("{}"))
			return err
		},
		"remove a peer": func(ctx context.Context) error {
			_, err := central.Conn().RequestWithContext(ctx, "$JS.API.STREAM.PEER.REMOVE."+config.Name, []byte(`{"peer":"nats-1"}`))
			return err
		},
	} {
		// A refused request gets no answer.
		short, cancel := context.WithTimeout(ctx, 300*time.Millisecond)
		if err := try(short); err == nil {
			t.Errorf("a central may %s", what)
		}
		cancel()
	}
	info, err := stream.Info(ctx)
	if err != nil || info.State.Msgs != 1 {
		t.Fatalf("the stream has %+v, %v", info, err)
	}
	if err := connect("operator/operator.creds").DeleteStream(ctx, config.Name); err != nil {
		t.Errorf("an operator may not delete a stream: %v", err)
	}
	if _, err := connect("operator/system.creds").Conn().RequestWithContext(ctx, "$SYS.REQ.SERVER.PING", nil); err != nil {
		t.Errorf("the user of the system is not told how the servers are: %v", err)
	}
}

// The servers of Compose and those without credentials agree otherwise.
func TestConfigurationsAgree(t *testing.T) {
	compose := composeOptions(t, makeCredentials(t))
	for name, value := range map[string]string{
		"NATS_NAME": "nats-1", "NATS_LISTEN": `"127.0.0.1:1"`, "NATS_MONITOR": `"127.0.0.1:2"`, "NATS_STORE_DIR": `"/data"`, "NATS_MAX_FILE_STORE": "64GB",
		"NATS_CLUSTER_LISTEN": `"127.0.0.1:3"`, "NATS_ROUTES": `["nats://routes:x@nats-2:6222"]`, "NATS_ROUTES_PASSWORD": "x", "NATS_OPERATOR_PASSWORD": "y",
	} {
		t.Setenv(name, value)
	}
	plain, err := server.ProcessConfigFile("../../deploy/nats/nats.conf")
	if err != nil {
		t.Fatal(err)
	}
	for name, opts := range map[string]*server.Options{"cluster.conf": compose, "nats.conf": plain} {
		if !opts.SyncAlways {
			t.Errorf("%s: what is acknowledged is not on disk: sync_interval is not always", name)
		}
		if !opts.Cluster.NoAdvertise || opts.Cluster.Name != "loteria" || opts.Cluster.Username == "" || opts.Cluster.Password == "" {
			t.Errorf("%s: the cluster is %+v", name, opts.Cluster)
		}
		if !opts.JetStream || opts.JetStreamMaxStore != 64<<30 || opts.StoreDir != "/data" {
			t.Errorf("%s: JetStream is %v, %d bytes in %q", name, opts.JetStream, opts.JetStreamMaxStore, opts.StoreDir)
		}
	}
	for _, user := range plain.Users {
		if user.Username != "central" {
			continue
		}
		for _, denied := range []string{"$JS.API.STREAM.DELETE.>", "$JS.API.STREAM.UPDATE.>"} {
			if !slices.Contains(user.Permissions.Publish.Deny, denied) || !slices.Contains(Denied, denied) {
				t.Errorf("a central may publish on %s", denied)
			}
		}
	}
	if n := len(compose.Routes); n != 3 {
		t.Errorf("cluster.conf has %d routes, want 3", n)
	}
}

func TestMadeOnce(t *testing.T) {
	folder := makeCredentials(t)
	read := func() map[string]string {
		contents := map[string]string{}
		err := filepath.WalkDir(folder, func(path string, entry os.DirEntry, err error) error {
			if err != nil || entry.IsDir() {
				return err
			}
			content, err := os.ReadFile(path)
			contents[path] = string(content)
			if info, infoErr := entry.Info(); infoErr == nil && info.Mode().Perm() != 0o400 {
				t.Errorf("%s may be used by others: %v", path, info.Mode())
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return contents
	}
	before := read()
	if made, err := provide(folder, []string{"other:6222"}); made || err != nil {
		t.Errorf("the second time: made %v, %v", made, err)
	}
	for path, content := range read() {
		if before[path] != content {
			t.Errorf("%s has changed", path)
		}
	}
	for name, secret := range map[string]string{"nats/accounts.conf": "SEED", "central/central.creds": ""} {
		content := before[filepath.Join(folder, name)]
		if content == "" || secret != "" && strings.Contains(content, secret) {
			t.Errorf("%s is %q", name, content)
		}
	}
	if err := os.Remove(filepath.Join(folder, "central", "central.creds")); err != nil {
		t.Fatal(err)
	}
	if _, err := provide(folder, []string{"other:6222"}); err == nil || !strings.Contains(err.Error(), "central/central.creds") {
		t.Errorf("when a part is missing: %v", err)
	}
}

func TestArguments(t *testing.T) {
	for _, test := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{"--help"}, 0, "--routes"},
		{[]string{"--routes", "a:1"}, exitUsage, "--out"},
		{[]string{"--out", "x"}, exitUsage, "--routes"},
		{[]string{"--out", "x", "--routes", "a"}, exitUsage, `"a"`},
		{[]string{"--out", "x", "--routes", "u:p@a:1"}, exitUsage, "expected host:port"},
		{[]string{"--out", "x", "--routes", "a:1", "y"}, exitUsage, `"y"`},
		{[]string{"--out", "/dev/null", "--routes", "a:1"}, exitFailure, "/dev/null"},
	} {
		var out bytes.Buffer
		if code := run(test.args, &out, &out); code != test.code || !strings.Contains(out.String(), test.says) {
			t.Errorf("%q: exit code %d, %s", test.args, code, &out)
		}
	}
}
