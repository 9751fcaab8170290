package onion

import (
	"encoding/binary"
	"fmt"
)

// fillPayload writes a message into a payload of zeros:
//
//	tag 32, zeros | length 4 | message | zeros to the end
//
// The padding is zeros and not random because the wide-block cipher hides both
// alike, because zeros leave one encoding of a message, and because they add to
// what a change of one bit would have to preserve.
func fillPayload(payload, msg []byte) error {
	if limit := len(payload) - TagSize - lengthSize; len(msg) > limit {
		return fmt.Errorf("%w: %d bytes, %d fit", ErrTooLong, len(msg), max(0, limit))
	}
	binary.BigEndian.PutUint32(payload[TagSize:], uint32(len(msg)))
	copy(payload[TagSize+lengthSize:], msg)
	return nil
}

// message returns the message in a payload at the end of its path. Its capacity
// ends with it.
func message(payload []byte) ([]byte, error) {
	if !zero(payload[:TagSize]) {
		return nil, ErrPayload
	}
	body := payload[TagSize+lengthSize:]
	n := binary.BigEndian.Uint32(payload[TagSize:])
	if uint64(n) > uint64(len(body)) || !zero(body[n:]) {
		return nil, ErrPayload
	}
	return body[:n:n], nil
}
