package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"tunic/client"
)

const chatHelp = `/help            this
/timer [1h|off]  after how long texts disappear, once they were read
/safety          the safety number, and what is known of the contact
/search WORDS    texts of this conversation that hold all the words
/quit            end; so do Ctrl-C and Ctrl-D
Ctrl-Z           to the shell, and back with fg
//TEXT           a text that begins with /`

// reaction is what a chat does to what was typed.
type reaction struct {
	said    string
	quit    bool
	refused bool // the text was not sent, and may be changed
}

// chatInput handles what was typed: a command, or a text to send.
func (a *app) chatInput(ctx context.Context, t *talk, text string) (reaction, error) {
	if strings.TrimSpace(text) == "" {
		return reaction{}, nil
	}
	word, rest, _ := strings.Cut(text, " ")
	rest = strings.TrimSpace(rest)
	switch {
	case strings.HasPrefix(text, "//"):
		text = text[1:]
	case word == "/help":
		return reaction{said: chatHelp}, nil
	case word == "/quit":
		return reaction{quit: true}, nil
	case word == "/safety":
		var b strings.Builder
		x := t.contact()
		contactText(&b, x, viewSafety(t.Client, x), func(s string) string { return s })
		return reaction{said: strings.TrimRight(b.String(), "\n")}, nil
	case word == "/timer":
		return t.timer(rest)
	case word == "/search":
		return reaction{said: t.search(rest)}, nil
	case strings.HasPrefix(text, "/"):
		return reaction{said: fmt.Sprintf("there is no command %s; /help lists them, // begins a text with a stroke", printable(word)), refused: true}, nil
	}
	_, err := t.Send(context.WithoutCancel(ctx), t.id, text)
	if errors.Is(err, client.ErrMessage) {
		return reaction{said: "not sent: " + problemOf(t.of.problem(err)).Detail, refused: true}, nil
	}
	return reaction{}, t.of.problem(err)
}

func (t *talk) timer(after string) (reaction, error) {
	if after != "" {
		d, err := parseTimer(after)
		if err == nil {
			err = setTimer(t.Client, t.id, d)
		}
		if p := (*problem)(nil); errors.As(err, &p) && p.Exit == exitUsage {
			return reaction{said: p.Detail, refused: true}, nil
		} else if err != nil {
			return reaction{}, err
		}
	}
	return reaction{said: timerWords(t.contact().Timer)}, nil
}

// maxFound bounds what a search shows within a chat.
const maxFound = 10

func (t *talk) search(words string) string {
	var b strings.Builder
	n := 0
	names := namesOf(t.Client)
	found := t.Search(words)
	for i := len(found) - 1; i >= 0 && words != ""; i-- {
		if e := found[i]; e.Contact == t.id {
			if n++; n <= maxFound {
				viewText(e, names).print(&b)
			}
		}
	}
	switch {
	case words == "":
		return "/search WORDS"
	case n == 0:
		return "nothing found"
	case n > maxFound:
		fmt.Fprintf(&b, "and %d older ones; `tunic search` shows all", n-maxFound)
	}
	return strings.TrimRight(b.String(), "\n")
}
