package certs

import (
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestRevokedList(t *testing.T) {
	for name, test := range map[string]struct {
		text     string
		serials  string // separated by spaces
		agencies string
		problem  string // in the error, behind the file's name
	}{
		"empty":                {"", "", "", ""},
		"comments":             {"# nothing yet\n\n   # still nothing\n", "", "", ""},
		"serial":               {"3fa2095c77e1\n", "3fa2095c77e1", "", ""},
		"with colons":          {"3F:A2:09:5C:77:E1", "3fa2095c77e1", "", ""},
		"leading zeros":        {"00:f3:a2:09", "f3a209", "", ""},
		"0x":                   {"0x3fA2", "3fa2", "", ""},
		"of openssl":           {"serial=3FA2095C", "3fa2095c", "", ""},
		"said to be a serial":  {"serial 1000\nSerial 07", "1000 7", "", ""},
		"agency":               {"agency 7\nAGENCY   12", "", "7 12", ""},
		"as in a certificate":  {"loteria:agency:7\nLoteria:Agency:8", "", "7 8", ""},
		"comments behind":      {"agency 7 # moved\n3fa2#stolen", "3fa2", "7", ""},
		"twice the same":       {"agency 7\nloteria:agency:7\n3fa2\n3F:A2", "3fa2", "7", ""},
		"Windows":              {"\ufeffagency 7\r\n3fa2\r\n", "3fa2", "7", ""},
		"longest":              {strings.Repeat("f", 40), strings.Repeat("f", 40), "", ""},
		"decimal, yet long":    {"12345678901", "12345678901", "", ""},
		"could be either":      {"agency 1\n7", "", "", `line 2: "7" could be an agency or a serial number, expected agency 7 or serial 7`},
		"could be either, too": {"0000001000", "", "", `line 1: "0000001000" could be`},
		"too long":             {strings.Repeat("f", 41), "", "", "line 1"},
		"no hexadecimal":       {"3fa2095c77eg", "", "", "is no entry, expected the serial number of a certificate"},
		"nothing but zeros":    {"serial 00:00", "", "", "is no entry"},
		"half an octet":        {"3f:a:09", "", "", "is no entry"},
		"colon at the end":     {"3f:a2:", "", "", "is no entry"},
		"negative":             {"-3fa2", "", "", "is no entry"},
		"two on a line":        {"3fa2 4fb3", "", "", "is no entry"},
		"agency zero":          {"agency 0", "", "", "names no agency"},
		"agency with zeros":    {"agency 007", "", "", "names no agency"},
		"agency by name":       {"agency norte", "", "", "names no agency"},
		"agency alone":         {"agency", "", "", "is no entry"},
		"several agencies":     {"agency 7, 8", "", "", "is no entry"},
		"a certificate":        {"# ours\n-----BEGIN CERTIFICATE-----", "", "", "line 2"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "revoked.txt")
			if err := os.WriteFile(path, []byte(test.text), 0o644); err != nil {
				t.Fatal(err)
			}
			got, err := readRevoked(path)
			if test.problem != "" {
				if err == nil || !strings.HasPrefix(err.Error(), path+", line ") || !strings.Contains(err.Error(), test.problem) {
					t.Errorf("%v, expected %s and %q", err, path, test.problem)
				}
				return
			}
			want := revoked{map[string]bool{}, map[int]bool{}}
			for _, serial := range strings.Fields(test.serials) {
				want.serials[serial] = true
			}
			for _, agency := range strings.Fields(test.agencies) {
				if err := want.addAgency(agency); err != nil {
					t.Fatal(err)
				}
			}
			if err != nil || !maps.Equal(got.serials, want.serials) || !maps.Equal(got.agencies, want.agencies) {
				t.Errorf("%+v, %v, expected %+v", got, err, want)
			}
		})
	}
}

func FuzzRevokedList(f *testing.F) {
	f.Add("3f:a2 # x")
	f.Add("agency 7")
	f.Add("serial=0x00")
	f.Fuzz(func(t *testing.T, entry string) {
		r := revoked{map[string]bool{}, map[int]bool{}}
		if err := r.add(strings.ToLower(strings.TrimSpace(entry))); err == nil && r.len() != 1 {
			t.Errorf("%q gives %+v", entry, r)
		}
	})
}
