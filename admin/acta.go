package admin

import "time"

// Acta is the record of a draw, as it is shown.
type Acta struct {
	Made   time.Time `json:"made"`   // when the file was written
	SHA256 string    `json:"sha256"` // of the file, in hexadecimal
	Signed bool      `json:"signed"`
}
