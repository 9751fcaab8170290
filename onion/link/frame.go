package link

import (
	"fmt"

	"tunic/internal/wire"
)

// FrameType says what a frame carries.
type FrameType byte

const (
	// Packet carries one onion packet that fills the body.
	Packet FrameType = 1
	// Hello carries what two sides tell each other when a link opens.
	Hello FrameType = 2
	// Control carries any other message between the two ends of a link.
	Control FrameType = 3
	// Swarm carries what members of one swarm tell each other.
	Swarm FrameType = 6
	// challenge and answer are the admission puzzle; a Pool handles both.
	challenge FrameType = 4
	answer    FrameType = 5
)

const (
	headerSize = 2 // type, zero
	lengthSize = 4 // in front of the data of every frame but Packet

	// MinBodySize and MaxBodySize bound what a network may choose.
	MinBodySize = 64
	MaxBodySize = 1 << 20
)

// Frame is one message. For Packet, Data is exactly the network's body size;
// for the others it is at most MaxData bytes.
type Frame struct {
	Type FrameType
	Data []byte
}

// FrameSize is the size on the wire, the same for every frame of a network.
func FrameSize(bodySize int) int { return headerSize + bodySize }

// MaxData is the most that a frame other than Packet can carry.
func MaxData(bodySize int) int { return bodySize - lengthSize }

func checkBodySize(n int) error {
	if n < MinBodySize || n > MaxBodySize {
		return fmt.Errorf("%w: body size %d is not in %d..%d", ErrConfig, n, MinBodySize, MaxBodySize)
	}
	return nil
}

func checkFrame(f Frame, bodySize int) error {
	switch f.Type {
	case Packet:
		if len(f.Data) != bodySize {
			return fmt.Errorf("%w: packet of %d bytes, the network's have %d", ErrFrame, len(f.Data), bodySize)
		}
	case Hello, Control, Swarm, challenge, answer:
		if len(f.Data) > MaxData(bodySize) {
			return fmt.Errorf("%w: %d bytes, at most %d fit", ErrFrame, len(f.Data), MaxData(bodySize))
		}
	default:
		return fmt.Errorf("%w: unknown type %d", ErrFrame, f.Type)
	}
	return nil
}

// AppendFrame appends the wire form of f, FrameSize(bodySize) bytes.
func AppendFrame(dst []byte, f Frame, bodySize int) ([]byte, error) {
	if err := checkFrame(f, bodySize); err != nil {
		return dst, err
	}
	dst = append(dst, byte(f.Type), 0)
	if f.Type == Packet {
		return append(dst, f.Data...), nil
	}
	dst = wire.AppendBytes(dst, f.Data)
	return append(dst, make([]byte, MaxData(bodySize)-len(f.Data))...), nil
}

// ParseFrame reads the wire form of a frame, all of b. Its Data aliases b.
func ParseFrame(b []byte) (Frame, error) {
	if len(b) < headerSize+lengthSize {
		return Frame{}, fmt.Errorf("%w: %d bytes", ErrFrame, len(b))
	}
	if b[1] != 0 {
		return Frame{}, fmt.Errorf("%w: second byte is not zero", ErrFrame)
	}
	t, body := FrameType(b[0]), b[headerSize:]
	switch t {
	case Packet:
		return Frame{Type: t, Data: body}, nil
	case Hello, Control, Swarm, challenge, answer:
	default:
		return Frame{}, fmt.Errorf("%w: unknown type %d", ErrFrame, b[0])
	}
	r := wire.NewReader(body)
	data := r.Bytes(MaxData(len(body)))
	if err := r.Err(); err != nil {
		return Frame{}, fmt.Errorf("%w: %w", ErrFrame, err)
	}
	for _, x := range r.Fixed(r.Len()) {
		if x != 0 {
			return Frame{}, fmt.Errorf("%w: padding is not zero", ErrFrame)
		}
	}
	return Frame{Type: t, Data: data}, nil
}
