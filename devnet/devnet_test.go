package devnet_test

import (
	"context"
	"testing"
	"time"

	"tunic/devnet"
)

func within(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

func TestStory(t *testing.T) {
	told, err := devnet.Tell(within(t, time.Minute), devnet.StorySpec{
		Spec: devnet.Spec{Relays: 6, Seed: 7},
		Tell: func(s devnet.Step) { t.Logf("%v %s", s.After.Round(time.Millisecond), s.Text) },
	})
	if err != nil {
		t.Fatalf("%v\n%+v", err, told)
	}
	t.Logf("%+v", told)
}
