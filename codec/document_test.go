package codec

import (
	"encoding/csv"
	"encoding/hex"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/cespare/xxhash/v2"
	"loteria/lottery"
)

// docs/protocol.md says what this package does.
func TestDocument(t *testing.T) {
	content, err := os.ReadFile("../docs/protocol.md")
	if err != nil {
		t.Fatal(err)
	}
	text := string(content)
	for kind := TypeBet; newMessage(kind) != nil; kind++ {
		if row := fmt.Sprintf("| `0x%02X` | %s |", uint8(kind), kind); !strings.Contains(text, row) {
			t.Errorf("there is no row %q", row)
		}
	}
	for _, code := range append(lottery.Codes(), BadFrame, TooLong, UnknownType) {
		if !strings.Contains(text, "`"+string(code)+"`") {
			t.Errorf("the code %s is missing", code)
		}
	}
	for _, number := range []int{MaxPayload, MaxFrame - overhead} {
		if text := fmt.Sprintf("%d,%03d bytes", number/1000, number%1000); !strings.Contains(string(content), strings.TrimSuffix(text, " bytes")) {
			t.Errorf("it does not speak of %s", text)
		}
	}

	// Its example of a frame is the vector "bet".
	var frame []byte
	for _, line := range regexp.MustCompile(`(?m)^    ((?:[0-9A-F]{2,} ?)+) {2}`).FindAllStringSubmatch(text, -1) {
		bytes, err := hex.DecodeString(strings.ReplaceAll(line[1], " ", ""))
		if err != nil {
			t.Fatal(err)
		}
		frame = append(frame, bytes...)
	}
	if want := loadVectors(t)[0]; want.name != "bet" || string(frame) != string(want.stream) {
		t.Errorf("the example of a frame is % x, the vector %q is % x", frame, want.name, want.stream)
	}

	// Its example of a row has the digest that it says.
	row := regexp.MustCompile(`(?m)^    (3,.*)$`).FindStringSubmatch(text)
	if row == nil {
		t.Fatal("there is no example of a row")
	}
	fields, err := csv.NewReader(strings.NewReader(row[1])).Read()
	if err != nil {
		t.Fatal(err)
	}
	raw := lottery.RawBet{Agency: fields[0], FirstName: fields[1], LastName: fields[2], Document: fields[3], Birthdate: fields[4], Number: fields[5]}
	stored, err := raw.AppendRow(nil)
	if err != nil || string(stored) != row[1]+"\r\n" {
		t.Errorf("the row %q is stored as %q, %v", row[1], stored, err)
	}
	for _, digest := range []uint64{xxhash.Sum64(stored), xxhash.Sum64(nil)} {
		if !strings.Contains(text, fmt.Sprintf("`%016x`", digest)) {
			t.Errorf("it does not have the digest %016x", digest)
		}
	}
}
