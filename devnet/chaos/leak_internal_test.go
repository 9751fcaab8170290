package chaos

import (
	"errors"
	"strings"
	"testing"
)

// A log that could not be kept whole is no log without leaks.
func TestFullLogIsNoticed(t *testing.T) {
	r := &recorder{most: 100}
	log := r.logger()
	log.Info("short") // with its time some 60 bytes
	if b, err := r.bytes(); err != nil || !strings.Contains(string(b), "short") {
		t.Fatalf("%q, %v", b, err)
	}
	log.Info("one line too many")
	if b, err := r.bytes(); !errors.Is(err, errLogFull) {
		t.Errorf("%q, %v", b, err)
	}
}
