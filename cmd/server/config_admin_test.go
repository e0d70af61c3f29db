package main

import (
	"reflect"
	"slices"
	"strings"
	"testing"
)

func TestAdminAccessSettings(t *testing.T) {
	args := []string{"--admin-token-file=t", "--admin-tls", "--tls-cert=c.pem", "--tls-key=k.pem"}
	environment := []string{"ADMIN_TOKEN_FILE=t", "ADMIN_TLS=true", "TLS_CERT=c.pem", "TLS_KEY=k.pem"}
	want := defaultConfig()
	want.adminAccess = adminAccess{tokenFile: "t", tls: true}
	want.tls.certificate, want.tls.key = "c.pem", "k.pem"
	inFolder(t, "")
	for _, given := range []struct{ args, environment []string }{{args, nil}, {nil, environment}} {
		if got, err := loadConfig(given.args, given.environment); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%q: got  %+v, %v\nwant %+v", given, got, err, want)
		}
	}
	inFolder(t, "[DEFAULT]\n"+strings.Join(environment, "\n")+"\n")
	if got, err := loadConfig(nil, nil); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("file: got  %+v, %v\nwant %+v", got, err, want)
	}
}

func TestAdminAccessNeeds(t *testing.T) {
	for args, problem := range map[string]string{
		"--admin-tls":                              "TLS_CERT: is not set, but ADMIN_TLS is set, and HTTPS needs the central's certificate; give --tls-cert",
		"--admin-tls --tls-cert=c.pem":             "TLS_KEY: is not set",
		"--admin-tls --tls-cert=c.pem --tls-key=k": "",
		"--admin-tls=no":                           "",
		"--admin-token-file=":                      "",
		"--admin-tls=perhaps":                      "true or false",
		"--admin=off --admin-tls":                  "",
		"--admin=off --admin-token-file=t":         "",
	} {
		inFolder(t, "")
		_, err := loadConfig(strings.Fields(args), nil)
		switch {
		case problem == "" && err != nil:
			t.Errorf("%s: %v", args, err)
		case problem != "" && (err == nil || !strings.Contains(err.Error(), problem)):
			t.Errorf("%s: %v, expected %q", args, err, problem)
		}
	}
}

// Settings of an admin port are ignored without one.
func TestAdminAccessWithoutAnAdminPort(t *testing.T) {
	inFolder(t, "")
	c, err := loadConfig([]string{"--admin=off", "--admin-tls", "--admin-token-file=nothing"}, nil)
	if err != nil || c.adminAccess != (adminAccess{}) {
		t.Errorf("%+v, %v", c.adminAccess, err)
	}
	for _, key := range []string{"ADMIN_TOKEN_FILE", "ADMIN_TLS"} {
		if !slices.ContainsFunc(c.warnings, func(w string) bool { return strings.Contains(w, key+" is for the admin port, and there is none") }) {
			t.Errorf("no warning has %s: %q", key, c.warnings)
		}
	}
}
