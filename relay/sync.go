package relay

import (
	"bytes"
	"context"
	crand "crypto/rand"
	"time"

	"tunic/chain"
	"tunic/onion/mail"
	"tunic/relay/mailbox"
)

// Limits of one session of anti-entropy.
const (
	syncParts  = 64      // ranges that one that differs is divided into
	syncLeaf   = 64      // own rows that are listed instead
	syncBarren = 256     // questions in a row that bring nothing
	syncAsk    = 200_000 // questions
)

// session makes this node and a member equal in a range of mailboxes: it asks
// for sums, goes down where they differ, and in the end pulls what this node
// lacks and pushes what the member lacks. Only the side that leads it has state.
type session struct {
	r          *Relay
	ctx        context.Context
	peer       chain.NodeID
	scope      mail.Scope // salt and time
	pull, push bool
	blind      bool   // push all without asking
	since      uint64 // but items and requests that came before, as errands count

	asked, barren int
	refused       int // of what was pushed
}

func (r *Relay) newSession(ctx context.Context, peer chain.NodeID) *session {
	s := &session{r: r, ctx: ctx, peer: peer, scope: mail.Scope{At: r.now()}}
	_, _ = crand.Read(s.scope.Salt[:]) // never fails
	return s
}

// run goes through the ranges. Nil means that the two are equal in them, but
// for what one of them refuses to take.
func (s *session) run(spans []span) error {
	s.r.talk.begin(s.peer)
	defer s.r.talk.end()
	for _, x := range spans {
		if s.blind {
			if err := s.exchange(x.lower, x.upper, false); err != nil {
				return err
			}
			continue
		}
		scope := s.of(x.lower, x.upper)
		own, err := s.r.mail.Sums(&scope, [][]byte{x.upper})
		if err != nil {
			return err
		}
		theirs, err := s.sums(scope, [][]byte{x.upper})
		if err != nil {
			return err
		}
		if err := s.compare(x.lower, x.upper, own[0], theirs[0]); err != nil {
			return err
		}
	}
	return nil
}

func (s *session) of(lower, upper []byte) mail.Scope {
	x := s.scope
	x.Lower, x.Upper = lower, upper
	return x
}

// compare goes down where two sums differ. Each level has at most a 64th of the
// own rows of the one above, whatever the member says of its own.
func (s *session) compare(lower, upper []byte, own, theirs mail.Sum) error {
	switch {
	case own == theirs, own.Rows == 0 && !s.pull, theirs.Rows == 0 && !s.push:
		return nil
	case !s.pull && own.Rows <= syncLeaf && theirs.Rows > 4*syncLeaf:
		return s.exchange(lower, upper, false) // a few rows are pushed sooner than many are listed
	case own.Rows <= syncLeaf || theirs.Rows == 0:
		return s.exchange(lower, upper, theirs.Rows > 0)
	}
	scope := s.of(lower, upper)
	bounds, sums, err := s.r.mail.Split(&scope, int(own.Rows), syncParts)
	if err != nil {
		return err
	}
	other, err := s.sums(scope, bounds)
	if err != nil {
		return err
	}
	for i := range bounds {
		if err := s.compare(lower, bounds[i], sums[i], other[i]); err != nil {
			return err
		}
		lower = bounds[i]
	}
	return nil
}

// exchange compares two lists, part by part, and passes what one side lacks.
func (s *session) exchange(lower, upper []byte, ask bool) error {
	for {
		part := s.of(lower, upper)
		theirs := map[mail.Short]bool{}
		var next []byte
		if ask {
			list, err := s.list(part)
			if err != nil {
				return err
			}
			if next = list.Next; len(next) > 0 {
				if bytes.Compare(next, lower) <= 0 || len(upper) > 0 && bytes.Compare(next, upper) >= 0 {
					return errNonsense
				}
				part.Upper = next
			}
			for _, x := range list.Shorts {
				theirs[x] = true
			}
		}
		if err := s.settle(part, theirs); err != nil {
			return err
		}
		if len(next) == 0 {
			return nil
		}
		lower = next
	}
}

// settle passes what one side lacks in a part of which theirs is all that the
// member has.
func (s *session) settle(part mail.Scope, theirs map[mail.Short]bool) error {
	rest := part
	for {
		own, next, err := s.r.mail.List(&rest, mail.MaxWant)
		if err != nil {
			return err
		}
		page := rest
		if next != nil {
			page.Upper = next
		}
		var lacks []mail.Short
		for _, e := range own {
			if !theirs[e.Short] && (!s.blind || e.Cursor == 0 || s.r.errands.cameSince(e.Key, s.since)) {
				lacks = append(lacks, e.Short)
			}
			delete(theirs, e.Short)
		}
		if s.push && len(lacks) > 0 {
			if err := s.give(page, lacks); err != nil {
				return err
			}
		}
		if next == nil {
			break
		}
		rest.Lower = next
	}
	if !s.pull {
		return nil
	}
	want := make([]mail.Short, 0, mail.MaxWant)
	for x := range theirs {
		if want = append(want, x); len(want) == mail.MaxWant {
			if err := s.take(part, want); err != nil {
				return err
			}
			want = want[:0]
		}
	}
	if len(want) > 0 {
		return s.take(part, want)
	}
	return nil
}

// spend counts a question, and ends a session that leads nowhere.
func (s *session) spend() error {
	s.asked++
	s.barren++
	if s.barren > syncBarren || s.asked > syncAsk {
		return errNonsense
	}
	return s.ctx.Err()
}

// ask sends a question and calls on with each answer until it returns true.
func (s *session) ask(m mail.SwarmMessage, kind mail.SwarmKind, on func(mail.SwarmMessage) (bool, error)) error {
	if err := s.spend(); err != nil {
		return err
	}
	m.ID = s.r.talk.question()
	if s.r.tell(s.peer, m.Encode()) != nil {
		return errNoAnswer
	}
	timer := time.NewTimer(s.r.patience())
	defer timer.Stop()
	for {
		b, err := await(s.ctx, s.r.talk, timer, s.r.talk.in)
		if err != nil {
			return err
		}
		answer, err := s.r.format.DecodeSwarm(b)
		if err != nil || answer.Kind != kind {
			s.r.count.refuse(CopyMalformed)
			return errNonsense
		}
		if last, err := on(answer); last || err != nil {
			return err
		}
	}
}

func (s *session) sums(scope mail.Scope, upper [][]byte) (out []mail.Sum, err error) {
	err = s.ask(mail.SwarmMessage{Kind: mail.SwarmAsk, Scope: scope, Upper: upper}, mail.SwarmSums, func(m mail.SwarmMessage) (bool, error) {
		switch out = m.Sums; len(out) {
		case len(upper):
			return true, nil
		case 0:
			return true, errRefused
		}
		return true, errNonsense
	})
	return out, err
}

func (s *session) list(scope mail.Scope) (out mail.SwarmMessage, err error) {
	err = s.ask(mail.SwarmMessage{Kind: mail.SwarmList, Scope: scope}, mail.SwarmListing, func(m mail.SwarmMessage) (bool, error) {
		if out = m; len(m.Next) > 0 && len(m.Shorts) == 0 {
			return true, errNonsense
		}
		return true, nil
	})
	return out, err
}

// take has the member send rows, and keeps them as far as they pass.
func (s *session) take(scope mail.Scope, want []mail.Short) error {
	if !s.r.members.mayFill(s.peer, s.r.mail.Items(), s.r.cfg.MailItems) {
		return errNonsense
	}
	now, epoch := s.r.now(), s.r.view.Load().epoch
	outcomes := make(chan mailbox.Outcome, mail.MaxWant+1)
	copies, answers := 0, 0
	err := s.ask(mail.SwarmMessage{Kind: mail.SwarmWant, Scope: scope, Shorts: want}, mail.SwarmGive, func(m mail.SwarmMessage) (bool, error) {
		if answers++; answers > len(want)+1 || copies+len(m.Copies) > len(want) {
			return true, errNonsense
		}
		for _, c := range m.Copies {
			copies++
			s.r.keep(now, epoch, c, mailbox.BySync, func(o mailbox.Outcome) { outcomes <- o })
		}
		return m.Left == 0, nil
	})
	for range copies {
		switch o := <-outcomes; {
		case o.More: // what was here already is no progress
			s.r.count.syncGained.Add(1)
			s.r.members.fill(s.peer)
			s.barren = 0
		case o.Reply.Code.Refused():
			s.r.count.refuse(refusedAs(o.Reply.Code))
		}
	}
	return err
}

// give pushes rows that the member lacks.
func (s *session) give(scope mail.Scope, lacks []mail.Short) error {
	copies, err := s.r.mail.Rows(&scope, lacks, 1<<20)
	if err != nil || len(copies) == 0 {
		return err
	}
	if err := s.spend(); err != nil {
		return err
	}
	for i, serial := range s.r.talk.pushes(len(copies), s.r.stores.newSerial) {
		copies[i].Serial = serial
	}
	for _, frame := range s.r.pack(copies) {
		if s.r.tell(s.peer, mail.SwarmMessage{Kind: mail.SwarmPush, Copies: frame}.Encode()) != nil {
			return errNoAnswer
		}
	}
	timer := time.NewTimer(s.r.patience())
	defer timer.Stop()
	for range copies {
		a, err := await(s.ctx, s.r.talk, timer, s.r.talk.acks)
		if err != nil {
			return err
		}
		s.pushed(copies[a.n], a.ack)
	}
	return nil
}

// pushed notes what the member says of a row.
func (s *session) pushed(c mail.Copy, a mail.Ack) {
	switch code := a.Code; {
	case code == mail.CodeStored || code == mail.CodeAccepted:
		s.r.count.syncGiven.Add(1)
		s.barren = 0
	case code == mail.CodeDeleted && c.Command.Store != nil && mail.Deleter(a.Token) == c.Command.Store.Deleter:
		s.r.bury(a.Token)
		s.barren = 0
	case code == mail.CodeOutdated, code == mail.CodeStale, c.Command.Request != nil && code.Refused():
		// It has a newer one, or need not have this one.
	default:
		s.refused++
	}
}

// pack divides copies among frames.
func (r *Relay) pack(copies []mail.Copy) (frames [][]mail.Copy) {
	size := 0
	for _, c := range copies {
		n := c.Size()
		if len(frames) == 0 || size+n > r.frameRoom || len(frames[len(frames)-1]) == mail.MaxCopies {
			frames, size = append(frames, nil), 0
		}
		last := len(frames) - 1
		frames[last] = append(frames[last], c)
		size += n
	}
	return frames
}
