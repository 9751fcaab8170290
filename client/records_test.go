package client

import (
	"errors"
	"testing"
)

func TestStateOfAnotherVersion(t *testing.T) {
	s := newState()
	if err := s.load([]row{{rowMeta, "", []byte(`{"Version":1,"Serial":5}`)}}); !errors.Is(err, ErrStore) {
		t.Errorf("version 1: %v", err)
	}
}
