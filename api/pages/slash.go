package pages

import (
	"bytes"
	"context"
	"net/http"
	"slices"
	"strings"

	"tunic/api/client"
	"tunic/chain/statement"
)

type slashView struct {
	client.Slash
	// What is the kind in a sentence, Rests its basis, and Then what follows
	// beside the money.
	What, Rests, Then string
	Flow              []flow
	Votes             []ballot
	// Settled is the further loss in TUN's units, empty while it is due.
	Losses []part
	// Proof judges the file behind the slash; nil where there is none any more.
	Proof *judgementView
	File  string // its name when it is kept
	Base  string // of the ledger's URLs
}

// flow is where a part of what was taken went, drawn as a piece of a bar of 1000
// units.
type flow struct {
	Name, Amount string
	Account      string // who got it; empty where nobody did
	Permille     int
	X, Width     float64
	Shade        int
}

// ballot is a vote of a verdict.
type ballot struct {
	Voter   string
	Reasons []string
	Score   int
}

// slash is the page of one offence: who lost what and why, and every step of
// verifying it.
func (s *Site) slash(r *http.Request) (view, error) {
	ctx, id := r.Context(), r.PathValue("offence")
	res, err := s.api.GetSlashWithResponse(ctx, id, nil)
	if err != nil {
		return view{}, err
	}
	x, err := read(res.JSON200, res.HTTPResponse, res.Body)
	if err != nil {
		return view{}, err
	}
	d := slashView{Slash: *x, What: kindWords[x.Kind].what, Then: kindWords[x.Kind].then, Rests: basisWords[string(x.Basis)], Flow: flows(x),
		File: "proof-" + id[:12] + ".bin", Base: s.base(ctx)}
	d.Losses = parts(&client.Stake{Operator: x.Operator, Total: x.Slashed, Requirement: x.Slashed, Contributions: x.Losses})
	if x.Judged != nil {
		d.Votes = ballots(x.Judged.Votes)
	}
	if d.Proof, err = s.provenBy(ctx, id); err != nil {
		return view{}, err
	}
	return view{Template: "slash", Title: "Slash " + id[:8], Nav: "/slashes", Live: "slash", LiveOf: id, Data: d}, nil
}

// provenBy fetches the proof of an offence and has it judged again.
func (s *Site) provenBy(ctx context.Context, offence string) (*judgementView, error) {
	res, err := s.api.GetSlashProofWithResponse(ctx, offence)
	if err != nil {
		return nil, err
	}
	if res.StatusCode() != http.StatusOK {
		_, err := known(read[[]byte](nil, res.HTTPResponse, res.Body))
		return nil, err
	}
	return s.judgement(ctx, res.Body)
}

// judgement has a proof file judged by the API.
func (s *Site) judgement(ctx context.Context, file []byte) (*judgementView, error) {
	res, err := s.api.JudgeProofWithBodyWithResponse(ctx, "application/octet-stream", bytes.NewReader(file))
	if err != nil {
		return nil, err
	}
	v, err := read(res.JSON200, res.HTTPResponse, res.Body)
	if err != nil {
		return nil, err
	}
	d := &judgementView{Verdict: *v, Says: verdictWords[string(v.Verdict)], Bytes: len(file)}
	for _, st := range v.Steps {
		d.Asked = append(d.Asked, step{Name: st.Name, Question: stepWords[st.Name], OK: st.Ok, Detail: deref(st.Detail),
			Punished: st.Name == "punishable" && v.Verdict == client.AlreadyPunished})
	}
	return d, nil
}

// judgementView is a proof's verdict with each question and its answer.
type judgementView struct {
	client.Verdict
	Says  string
	Bytes int
	Asked []step
}

// step is one question of a judgement.
type step struct {
	Name, Question, Detail string
	OK                     bool
	// Punished: the last question was answered with no because the offence is
	// punished already, which is no fault of the proof.
	Punished bool
}

// Word is the verdict, for people.
func (j judgementView) Word() string { return strings.ReplaceAll(string(j.Verdict.Verdict), "_", " ") }

// Tone is the verdict's colour.
func (j judgementView) Tone() string {
	switch j.Verdict.Verdict {
	case client.Valid, client.AlreadyPunished:
		return "good"
	case client.Expired:
		return "warn"
	}
	return "bad"
}

// Class, Mark and Answer are how a step is shown: they differ all three.
func (s step) Class() string {
	switch {
	case s.OK:
		return "ok"
	case s.Punished:
		return "past"
	}
	return "no"
}

// Mark is a sign for those who see.
func (s step) Mark() string {
	return map[string]string{"ok": "✓", "past": "•", "no": "✗"}[s.Class()]
}

// Answer is the same in a word.
func (s step) Answer() string {
	return map[string]string{"ok": "yes", "past": "punished already", "no": "no"}[s.Class()]
}

// flows say where the stake that was taken went.
func flows(x *client.Slash) (out []flow) {
	total, _ := units(x.Slashed)
	if total == 0 {
		return nil
	}
	at := 0.0
	for _, f := range []flow{{Name: "burned", Amount: x.Burned, Shade: 1}, {Name: "to who reported it", Amount: x.Reward, Account: x.Reporter, Shade: 3}} {
		if a, _ := units(f.Amount); a == 0 {
			continue
		}
		f.Permille = permilleOf(f.Amount, x.Slashed)
		f.X, f.Width = at, float64(f.Permille)
		at += f.Width
		out = append(out, f)
	}
	return out
}

// ballots reads the votes of a verdict; what is no vote is left out.
func ballots(votes []client.Base64) (out []ballot) {
	for _, b := range votes {
		st, err := statement.Decode(b)
		if err != nil {
			continue
		}
		v, err := statement.DecodeVote(st.Body)
		if err != nil {
			continue
		}
		out = append(out, ballot{Voter: st.Node.String(), Reasons: v.Reasons.Names(), Score: int(v.Score)})
	}
	slices.SortFunc(out, func(a, b ballot) int { return bytes.Compare([]byte(a.Voter), []byte(b.Voter)) })
	return out
}
