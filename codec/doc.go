// Package codec turns bytes into frames and messages of the lottery's wire
// protocol, and back. It knows nothing of sockets, files or goroutines.
//
// A frame is a u32 length, a u8 type, that many bytes of payload and one
// delimiter byte 0xFF; integers are big-endian, and a text is a u16 length and
// that many bytes of UTF-8. There is one Go type for each message of the
// protocol's table.
//
// Input that breaks the protocol gives a *lottery.Refusal with code BadFrame,
// TooLong or UnknownType; nothing more can be read from its stream.
package codec
