package main

import (
	"context"
	"strings"
	"testing"
	"time"

	"tunic/client"
	"tunic/onion/mail"
)

// TestOutcome is how far a message can come, and what `send` ends with.
func TestOutcome(t *testing.T) {
	stopped, stop := context.WithCancel(t.Context())
	stop()
	for _, x := range []struct {
		name   string
		ctx    context.Context
		state  client.State
		reason string
		want   client.State
		exit   int
		code   string
		says   string
	}{
		{"delivered", t.Context(), client.Delivered, "", client.Delivered, exitDone, "", ""},
		{"stored is enough", t.Context(), client.Stored, "", client.Stored, exitDone, "", ""},
		{"delivered is more than stored", t.Context(), client.Delivered, "", client.Stored, exitDone, "", ""},
		{"stored", t.Context(), client.Stored, "", client.Delivered, exitUnreachable, "timeout", "it is stored in the mailbox of bob"},
		{"sent", t.Context(), client.Sent, "", client.Stored, exitUnreachable, "timeout", "it waits in the outbox; `tunic client run`"},
		{"no answer", t.Context(), client.Queued, "no_answer", client.Delivered, exitUnreachable, "timeout", "it waits in the outbox (no answer came over several paths"},
		{"interrupted", stopped, client.Queued, "", client.Delivered, exitFailed, "interrupted", "it waits in the outbox"},
		{"mailbox full", t.Context(), client.Failed, mail.CodeFull.String(), client.Delivered, exitRefused, "mailbox_full", "it has room again when bob comes online"},
		{"refused", t.Context(), client.Failed, mail.CodeSignature.String(), client.Stored, exitRefused, "bad_signature", "a mailbox member refused it"},
		{"expired", t.Context(), client.Expired, "", client.Stored, exitUnreachable, "expired", "before its time was over"},
	} {
		t.Run(x.name, func(t *testing.T) {
			p := outcome(x.ctx, client.Status{State: x.state, Reason: x.reason}, x.want, who{Name: "bob"}, time.Second)
			if p == nil {
				p = &problem{}
			}
			if p.Exit != x.exit || p.Code != x.code || !strings.Contains(p.Detail, x.says) {
				t.Errorf("exit %d, %s: %s", p.Exit, p.Code, p.Error())
			}
		})
	}
}

// What `send --stored` says of how long a message is kept.
func TestKeptWords(t *testing.T) {
	const hour = 3_600_000
	for name, x := range map[string]struct {
		s         client.Status
		says, not string
	}{
		"promised for less than its life": {client.Status{Promised: 9 * hour, Expiry: 48 * hour}, "signed to keep it until " + instant(9*hour), "ends"},
		"its life is shorter":             {client.Status{Promised: 9 * hour, Expiry: hour}, "until " + instant(9*hour) + "; the message itself ends at " + instant(hour), "taken"},
		"nobody signed":                   {client.Status{Expiry: hour}, "taken it out of the mailbox", "signed"},
	} {
		if got := keptWords(x.s); !strings.Contains(got, x.says) || strings.Contains(got, x.not) {
			t.Errorf("%s: %s", name, got)
		}
	}
}

// TestPrintable: what others write cannot command a terminal.
func TestPrintable(t *testing.T) {
	const evil = "a\x1b[2Jb\r\nc\u202ed\te"
	if got, want := printable(evil), "a\uFFFD[2Jb\uFFFD c\uFFFDd e"; got != want {
		t.Errorf("printable: %q, want %q", got, want)
	}
	if got, want := quote(evil, "> "), "> a\uFFFD[2Jb\n> c\uFFFDd e"; got != want {
		t.Errorf("quote: %q, want %q", got, want)
	}
	if got, want := excerpt(strings.Repeat("ä", 50)), `"`+strings.Repeat("ä", 39)+`…"`; got != want {
		t.Errorf("excerpt: %q, want %q", got, want)
	}
}
