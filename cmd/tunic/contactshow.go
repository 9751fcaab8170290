package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"tunic/client"
	"tunic/onion/mail"
)

// contactView is a contact as the commands print it.
type contactView struct {
	who
	State    client.ContactState `json:"state"`
	Note     string              `json:"note,omitempty"`     // from its contact request
	OwnNote  string              `json:"own_note,omitempty"` // that goes with ours
	Safety   string              `json:"safety_number,omitempty"`
	Verified int64               `json:"verified_ms,omitempty"`      // the safety number was compared
	Began    int64               `json:"session_began_ms,omitempty"` // the session in use
	Once     bool                `json:"prekey_once,omitempty"`      // with a prekey for one use
	Anew     int64               `json:"anew_ms,omitempty"`          // the contact began anew
	Timer    int64               `json:"timer_s,omitempty"`
	Unread   int                 `json:"unread,omitempty"`
	Refused  int64               `json:"refused_ms,omitempty"`
}

func viewContact(x client.Contact) contactView {
	return contactView{who{client.FormatID(x.ID), x.Name}, x.State, x.Note, x.OwnNote, x.Safety, int64(x.Verified),
		int64(x.Began), x.Once, int64(x.Anew), int64(x.Timer / time.Second), x.Unread, int64(x.Refused)}
}

// viewSafety is viewContact with the safety number.
func viewSafety(c *client.Client, x client.Contact) contactView {
	v := viewContact(x)
	v.Safety = client.SafetyNumber(c.ID(), x.ID)
	return v
}

// anewWords say what it means that a contact began anew.
func anewWords(x client.Contact) string {
	s := fmt.Sprintf("%s began anew on %s, as after restoring the account from its words or on another device; the account and its safety number are the same",
		viewContact(x).who, instant(int64(x.Anew)))
	if x.Verified != 0 && x.Verified < x.Anew {
		s += fmt.Sprintf(", and you compared that on %s, before it", instant(int64(x.Verified)))
	}
	return s + "; if you did not expect it, ask over another way"
}

// lastResort reports whether a session began without a prekey for one use.
func lastResort(x client.Contact) bool { return x.Began != 0 && !x.Once }

const lastResortWords = "this session began without a prekey for one use, as there was none left: whoever gets the contact's keys within days could read its first texts, up to the first answer"

// remark is what a list says of a contact besides its state: a warning, or what
// one that asks says of itself.
func remark(x client.Contact) string {
	switch {
	case x.Anew != 0:
		return "began anew on " + instant(int64(x.Anew))
	case x.State == client.Incoming && x.Note != "":
		return "says " + quoted(x.Note)
	}
	return ""
}

// warn tells on stderr that a contact began anew: once for each time that it does.
func (a *app) warn(c *client.Client, id mail.AccountID) error {
	return a.warnOf(c, contactOf(c, id))
}

// warnAll is warn for all contacts, after what is to be told of the account itself.
func (a *app) warnAll(c *client.Client) error {
	a.warnElsewhere(c.Elsewhere())
	for _, x := range c.Contacts() {
		if err := a.warnOf(c, x); err != nil {
			return err
		}
	}
	return nil
}

func (a *app) warnOf(c *client.Client, x client.Contact) error {
	if x.Anew == 0 || x.Told {
		return nil
	}
	if a.json() {
		e := json.NewEncoder(a.Err)
		e.SetEscapeHTML(false)
		_ = e.Encode(map[string]string{"type": "warning", "code": "contact_began_anew", "contact": client.FormatID(x.ID), "text": anewWords(x)})
	} else {
		fmt.Fprintf(a.Err, "warning: %s\n", anewWords(x))
	}
	return c.SetTold(x.ID)
}

func (a *app) contactShow() *cobra.Command {
	return a.aboutContact(contactVerb{
		use: "show ID|NAME", short: "One contact: its state, its session, and the safety number to compare", args: cobra.ExactArgs(1),
		run: func(c *client.Client, x client.Contact, _ []string) error {
			v := viewSafety(c, x)
			return a.show(v, func(w io.Writer) { contactText(w, x, v, a.bold) })
		},
	})
}

// contactText is a contact for people; strong makes words stand out.
func contactText(w io.Writer, x client.Contact, v contactView, strong func(string) string) {
	rows := [][]string{{"Name", orDash(printable(x.Name))}, {"State", stateWords(x.State)}, {"Id", v.ID}}
	if x.Note != "" {
		rows = append(rows, []string{"Note", printable(x.Note)})
	}
	if x.OwnNote != "" {
		rows = append(rows, []string{"Your note", printable(x.OwnNote)})
	}
	if x.Unread > 0 {
		rows = append(rows, []string{"Unread", strconv.Itoa(x.Unread)})
	}
	if x.Timer > 0 {
		rows = append(rows, []string{"Timer", timerWords(x.Timer)})
	}
	switch {
	case x.Began == 0:
	case x.Once:
		rows = append(rows, []string{"Session", "since " + instant(v.Began) + ", begun with a prekey for one use"})
	default:
		rows = append(rows, []string{"Session", "since " + instant(v.Began)})
	}
	table(w, rows...)
	if lastResort(x) {
		fmt.Fprintf(w, "\nNote: %s.\n", lastResortWords)
	}
	if x.Anew != 0 {
		fmt.Fprintf(w, "\n%s: %s.\n", strong("Warning"), anewWords(x))
	}
	g := strings.Fields(v.Safety)
	fmt.Fprintf(w, "\nSafety number\n\n  %s\n  %s\n\n", strong(strings.Join(g[:6], " ")), strong(strings.Join(g[6:], " ")))
	if x.Verified != 0 {
		fmt.Fprintf(w, "You compared it on %s.\n", instant(v.Verified))
		return
	}
	fmt.Fprintf(w, "Compare it in person or by voice: if both of you see this number, each has the other's true account.\nThen note that with `tunic contact verify %s`.\n", v.who)
}

// timerWords say when texts disappear.
func timerWords(d time.Duration) string {
	if d == 0 {
		return "texts stay"
	}
	return "texts disappear " + roundSpan(d) + " after they were read"
}

// roundSpan is a span without what is zero of it.
func roundSpan(d time.Duration) string {
	s := span(d.Milliseconds())
	if i := strings.Index(s, " 0 "); i >= 0 {
		return s[:i]
	}
	return s
}

func (a *app) contactVerify() *cobra.Command {
	var yes, undo bool
	c := a.aboutContact(contactVerb{
		use: "verify ID|NAME [NUMBER...]", short: "Note that the safety number was compared", args: cobra.MinimumNArgs(1),
		long: `Shows the safety number and asks whether the contact sees the same one. With the number
that the contact sees, compares the two itself. What was compared holds for the
account, whatever device it is on.`,
		check: func(number []string) error {
			if undo && (yes || len(number) > 0) {
				return usage("--undo takes the contact alone")
			}
			return nil
		},
		run: func(c *client.Client, x client.Contact, number []string) error {
			if !undo {
				if err := a.compared(viewSafety(c, x), number, yes); err != nil {
					return err
				}
			}
			if err := c.SetVerified(x.ID, !undo); err != nil {
				return err
			}
			v := viewSafety(c, contactOf(c, x.ID))
			return a.show(v, func(w io.Writer) {
				if undo {
					fmt.Fprintf(w, "noted: the safety number of %s was not compared\n", v.who)
					return
				}
				fmt.Fprintf(w, "noted: you and %s see the same safety number\n", a.bold(v.who.String()))
			})
		},
	})
	c.Flags().BoolVar(&yes, "yes", false, "do not ask: it was compared")
	c.Flags().BoolVar(&undo, "undo", false, "note that it was not compared after all")
	return c
}

// compared makes sure that both see one safety number.
func (a *app) compared(v contactView, number []string, yes bool) error {
	digits := strings.Join(strings.Fields(strings.Join(number, " ")), "")
	switch {
	case yes && digits == "":
		return nil
	case digits != "":
		if digits != strings.ReplaceAll(v.Safety, " ", "") {
			return fail(exitFalse, "safety_numbers_differ", "the safety numbers differ",
				"yours with %s is %s. Either one of you mistyped, or you do not have each other's true account: compare ids over a way that you trust before you write anything", v.who, v.Safety)
		}
		return nil
	case !terminal(a.Err):
		return usage("no terminal to ask at; pass the number that the contact sees, or --yes")
	}
	g := strings.Fields(v.Safety)
	fmt.Fprintf(a.Err, "\n  %s\n  %s\n\nDoes %s see this number? [y/N] ", strings.Join(g[:6], " "), strings.Join(g[6:], " "), v.who)
	line, err := bufio.NewReader(io.LimitReader(a.In, 64)).ReadString('\n')
	if err != nil && err != io.EOF {
		return fmt.Errorf("read answer: %w", err)
	}
	if s := strings.ToLower(strings.TrimSpace(line)); s != "y" && s != "yes" {
		return fail(exitFalse, "not_compared", "nothing was noted", "if the numbers differ, you do not have each other's true account: compare ids over a way that you trust")
	}
	return nil
}

func (a *app) contactTimer() *cobra.Command {
	var d time.Duration
	return a.aboutContact(contactVerb{
		use: "timer ID|NAME [TIME|off]", short: "After how long texts disappear, once they were read", args: cobra.RangeArgs(1, 2),
		long: "Shows or sets after how long texts of a conversation disappear on both sides, once they\nwere read: 30s, 5m, 1h, 7d, or off. The contact learns of it with the next text.",
		check: func(after []string) (err error) {
			if len(after) == 1 {
				d, err = parseTimer(after[0])
			}
			return err
		},
		run: func(c *client.Client, x client.Contact, after []string) error {
			if len(after) == 1 {
				if err := setTimer(c, x.ID, d); err != nil {
					return err
				}
				x.Timer = d
			}
			return a.show(viewContact(x), func(w io.Writer) {
				fmt.Fprintf(w, "%s: %s\n", viewContact(x).who, timerWords(x.Timer))
			})
		},
	})
}

// setTimer says after how long texts disappear.
func setTimer(c *client.Client, id mail.AccountID, d time.Duration) error {
	err := c.SetTimer(id, d)
	if errors.Is(err, client.ErrConfig) {
		return usage("%s is no time for a timer; whole seconds, a year at most", d)
	}
	return err
}

// maxTimerDays bounds what is multiplied; the client knows the true bound.
const maxTimerDays = 10_000

// parseTimer reads a time such as 1h or 7d; off is none.
func parseTimer(s string) (time.Duration, error) {
	if s == "off" || s == "0" {
		return 0, nil
	}
	if days, ok := strings.CutSuffix(s, "d"); ok {
		if n, err := strconv.Atoi(days); err == nil && n > 0 && n < maxTimerDays {
			return time.Duration(n) * 24 * time.Hour, nil
		}
	}
	d, err := time.ParseDuration(s)
	if err != nil || d <= 0 {
		return 0, usage("%q is no time for a timer; use 30s, 5m, 1h, 7d or off", s)
	}
	return d, nil
}
