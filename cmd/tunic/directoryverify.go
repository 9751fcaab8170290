package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"tunic/api/client"
	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/internal/httpx"
	"tunic/internal/wire"
	"tunic/ledger/light"
	"tunic/registry/directory"
	"tunic/slashing"
)

// maxMembership bounds a membership in what is served: two entries and their
// paths are a few kilobytes.
const maxMembership = 1 << 16

func (a *app) directoryVerify() *cobra.Command {
	var net string
	c := &cobra.Command{
		Use: "verify FILE", Short: "Verify a kept list or proof against the network file, offline", Args: cobra.ExactArgs(1),
		Long: `Verify a file against the network file, without a ledger: a list that ` + "`tunic directory get --out`" + `
kept, a proof that ` + "`tunic directory prove --out`" + ` kept, or the answer of
/v1/directory, /v1/directory/root or /v1/directory/{node}/proof, in canonical
bytes or as JSON.

Exits with 0 where it verifies, also a proof that a node is not listed; with 3
where it does not.`,
		RunE: func(_ *cobra.Command, args []string) error {
			n, err := network(net)
			if err != nil {
				return err
			}
			k, err := readKept(n, args[0])
			switch {
			case err != nil:
				return err
			case k.proof != nil:
				v := standingOf(k.proof)
				return a.show(v, v.print)
			}
			v := struct {
				directoryView
				Whole bool `json:"whole"` // the list itself was there, not its header alone
			}{summaryOf(k.header.Header), k.list != nil}
			return a.show(v, func(w io.Writer) {
				v.summary(w)
				if !v.Whole {
					fmt.Fprintln(w, "this is the header alone; the list that it commits to is not in the file")
				}
			})
		},
	}
	networkFlag(c, &net)
	return c
}

// kept is what a verified file holds: always a header, and beside it a list, a
// proof, or neither.
type kept struct {
	header chain.SealedHeader
	list   *directory.List
	proof  *light.Found
}

// readKept reads a file that holds a list, a proof or a header, in either form,
// and verifies it against the network file.
func readKept(n genesis.Network, path string) (kept, error) {
	b, err := readInput(path, maxDirectory)
	if err != nil {
		return kept{}, err
	}
	v, err := light.New(n)
	if err != nil {
		return kept{}, err
	}
	var k kept
	if text := bytes.TrimSpace(b); len(text) > 0 && text[0] == '{' {
		k, err = verifyJSON(v, text)
	} else {
		k, err = verifyBytes(v, b)
	}
	if err != nil {
		if errors.Is(err, light.ErrValidators) {
			return k, verified(err)
		}
		p := notVerified(verified(err))
		var known *problem
		if errors.As(p, &known) && known.Code == "not_verified" {
			return k, fail(exitFalse, known.Code, path+" does not verify", "%s", known.Detail)
		}
		return k, p
	}
	return k, nil
}

var errDelta = fmt.Errorf("%w: a delta proves nothing without the list that it is made from", directory.ErrMalformed)

// verifyBytes verifies canonical bytes: a header alone begins with its version,
// a list or a proof with the length of the header in front of it. Which of them
// it is shows in what can be read.
func verifyBytes(v *light.Verifier, b []byte) (k kept, err error) {
	if len(b) > 0 && (b[0] == chain.HeaderVersion || b[0] == chain.CommittedVersion) {
		if k.header, err = chain.DecodeSealedHeader(b); err != nil {
			if _, bad := slashing.Decode(b); bad == nil {
				err = errors.New("it is the proof of an offence: `tunic proof verify` judges it")
			}
			return k, fmt.Errorf("%w: no list, proof or header: %w", directory.ErrMalformed, err)
		}
		return k, v.Header(k.header)
	}
	if s, m, bad := light.ReadProof(b); bad == nil {
		found, err := v.Entry(b, m.Node)
		return kept{header: s, proof: &found}, err
	}
	if _, _, bad := light.ReadDelta(b); bad == nil {
		return k, errDelta
	}
	if k.list, k.header, err = v.Directory(b); errors.Is(err, directory.ErrMalformed) {
		err = fmt.Errorf("it is no list and no proof: %w", err)
	}
	return k, err
}

// verifyJSON verifies an answer of the API as JSON by the bytes in it. What it
// says beside them must agree.
func verifyJSON(v *light.Verifier, b []byte) (k kept, err error) {
	var f struct {
		client.Directory
		Entries    *[]client.DirectoryEntry `json:"entries"`
		Membership *[]byte                  `json:"membership"`
		Node       string                   `json:"node"`
		Listed     bool                     `json:"listed"`
		Removed    bool                     `json:"removed"`
		Since      *int64                   `json:"since"`
	}
	if err := json.Unmarshal(b, &f); err != nil {
		if wrong := (*json.UnmarshalTypeError)(nil); errors.As(err, &wrong) {
			err = httpx.WrongType(wrong)
		}
		return k, fmt.Errorf("%w: no list, proof or header as JSON: %w", directory.ErrMalformed, err)
	}
	if len(f.Header) == 0 {
		return k, fmt.Errorf("%w: there is no header in it: keep a list with `tunic directory get --out FILE --format json`", directory.ErrMalformed)
	}
	if f.Since != nil {
		return k, errDelta
	}
	if k.header, err = chain.DecodeSealedHeader(f.Header); err != nil {
		return k, fmt.Errorf("%w: %w", directory.ErrMalformed, err)
	}
	h := k.header.Header
	if f.Epoch != int64(h.DirEpoch) {
		return k, fmt.Errorf("%w: it says epoch %d, its header %d", directory.ErrEpoch, f.Epoch, h.DirEpoch)
	}
	if f.Membership != nil {
		id, err := chain.ParseNodeID(f.Node)
		if err != nil {
			return k, fmt.Errorf("%w: %w", directory.ErrMalformed, err)
		}
		found, err := v.Entry(append(wire.AppendBytes(nil, f.Header), *f.Membership...), id)
		if err == nil && (found.InList != f.Listed || found.Removed != f.Removed) {
			err = fmt.Errorf("%w: it says listed %v and removed %v, and proves listed %v and removed %v", directory.ErrRoot, f.Listed, f.Removed, found.InList, found.Removed)
		}
		k.proof = &found
		return k, err
	}
	if err := v.Header(k.header); err != nil {
		return k, err
	}
	if f.Root != h.Directory.String() || f.Count != int(h.DirCount) {
		return k, fmt.Errorf("%w: it says root %s of %d, its header %s of %d", directory.ErrRoot, f.Root, f.Count, h.Directory, h.DirCount)
	}
	if f.Entries != nil {
		f.Directory.Entries = *f.Entries
		if k.list, err = listOf(f.Directory); err != nil {
			return k, err
		}
		return k, k.list.Check(h)
	}
	return k, nil
}

// notVerified makes any error one that says: checked, and false.
func notVerified(err error) error {
	if p := problemOf(err); p.Exit == exitFalse {
		return p
	}
	return fail(exitFalse, "not_verified", "does not verify", "%v", err)
}

// standing is what a verified proof shows, as JSON.
type standing struct {
	Node     chain.NodeID `json:"node"`
	Epoch    chain.Epoch  `json:"epoch"`
	Listed   bool         `json:"listed"` // and not removed
	Removed  bool         `json:"removed"`
	Verified bool         `json:"verified"`
	Height   chain.Height `json:"height"`
	Time     chain.Time   `json:"time_ms"`
	Entry    *entryView   `json:"entry,omitempty"`
	File     string       `json:"file,omitempty"` // that the proof is kept in

	how string
}

func standingOf(f *light.Found) standing {
	h := f.Header.Header
	v := standing{Node: f.Node, Epoch: h.DirEpoch, Listed: f.Listed(), Removed: f.Removed, Verified: true, Height: h.Height, Time: h.Time}
	switch {
	case h.DirCount == 0:
		v.how = "the list is empty"
	case f.Removed:
		v.how = "it was removed since the epoch began"
	case f.InList:
		v.how = fmt.Sprintf("it is entry %d of %d", f.Index+1, h.DirCount)
	default:
		v.how = fmt.Sprintf("nobody stands at its place among the %d", h.DirCount)
	}
	if f.InList {
		entry := viewOf(f.Entry, h)
		v.Entry = &entry
	}
	return v
}

func (v standing) print(w io.Writer) {
	rows := [][]string{{"node", v.Node.String()}, {"epoch", fmt.Sprint(v.Epoch)}, {"listed", yesNo(v.Listed) + ": " + v.how}}
	if v.Entry != nil {
		rows = append(rows, []string{"stake", v.Entry.Stake.String() + " TUN"}, []string{"endpoints", strings.Join(v.Entry.Endpoints, " ")})
	}
	table(w, append(rows, []string{"verified by", fmt.Sprintf("the header at height %d, %s", v.Height, instant(int64(v.Time)))})...)
	if v.File != "" {
		fmt.Fprintf(w, "kept in %s; `tunic directory verify %s` verifies it without the ledger\n", v.File, v.File)
	}
}

func (a *app) directoryProve() *cobra.Command {
	var net, out string
	var epoch uint64
	c := &cobra.Command{
		Use: "prove NODE", Short: "Prove that a node is, or is not, in the directory", Args: cobra.ExactArgs(1),
		Long: `Fetch the proof that a node is, or is not, in the directory of an epoch, and verify it.
--out keeps it: who has the network file can verify it later, without a ledger.
Exits with 0 where the node is listed, with 3 where it is proven that it is not.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			r, err := a.remote(net)
			if err != nil {
				return err
			}
			id, err := r.nodeID(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			if epoch == 0 {
				head, err := r.header(cmd.Context(), "latest")
				if err != nil {
					return err
				}
				epoch = uint64(head.Header.DirEpoch)
			}
			found, b, err := r.membership(cmd.Context(), id, chain.Epoch(epoch))
			if err != nil {
				return err
			}
			v := standingOf(&found)
			if out != "" {
				if err := writeOutput(out, b); err != nil {
					return err
				}
				v.File = out
			}
			if err := a.show(v, v.print); err != nil || v.Listed {
				return err
			}
			return fail(exitFalse, "not_listed", "not listed", "proven for epoch %d; `tunic node show %s` says why", v.Epoch, id.Short())
		},
	}
	networkFlag(c, &net)
	epochFlag(c, &epoch)
	c.Flags().StringVar(&out, "out", "", "file to keep the proof in")
	return c
}

// membership fetches and verifies the proof that a node is, or is not, in the
// list of an epoch, 0 for the newest that the ledger shows. It returns the
// proof's bytes too.
func (r *remote) membership(ctx context.Context, id chain.NodeID, e chain.Epoch) (light.Found, []byte, error) {
	b, err := r.fetch(ctx, fmt.Sprintf("/v1/directory/%s/proof?epoch=%d", id, e), maxHeader+maxMembership)
	if err != nil {
		return light.Found{}, nil, err
	}
	s, _, err := light.ReadProof(b)
	if err != nil {
		return light.Found{}, nil, notVerified(verified(err))
	}
	v, err := r.verifier(ctx, s)
	if err != nil {
		return light.Found{}, nil, err
	}
	found, err := v.Entry(b, id)
	if err != nil {
		return found, nil, notVerified(verified(err))
	}
	if got := found.Header.Header.DirEpoch; e != 0 && got != e {
		return found, nil, fail(exitFalse, "not_verified", "does not verify", "the proof is of epoch %d, asked was %d", got, e)
	}
	return found, b, nil
}
