package main

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strconv"

	"github.com/spf13/cobra"

	"tunic/api/client"
	"tunic/chain"
	"tunic/devnet/scenario"
	"tunic/internal/durable"
	"tunic/ledger"
	"tunic/node"
)

func (a *app) devCommand() *cobra.Command {
	c := noun("dev", "Controls of a dev network: its blocks, its clock, its past", a.devMine(), a.devAdvance(),
		a.devSnapshot(), a.devSnapshots(), a.devDrop(), a.devRevert(), a.devFund(), a.devDump(), a.devLoad())
	c.Long = `Controls of a dev network: its blocks, its clock, its past.

They work where genesis says dev: true, on the ledger's own machine.`
	return c
}

// controls reaches the network's ledger without a limit of time: a revert
// replays, an advance seals and a dump sends for as long as it takes.
func (a *app) controls(network string) (*client.Client, error) {
	r, err := a.remote(network)
	if err != nil {
		return nil, err
	}
	return client.NewClient(r.net.URLs[0], client.WithHTTPClient(&http.Client{}))
}

// control makes a command that sends one request to a control of the network's
// ledger and shows the answer, which it reads into T.
func control[T any](a *app, use, short string, args cobra.PositionalArgs,
	send func(ctx context.Context, api *client.Client, args []string) (*http.Response, error), text func(w io.Writer, v T)) *cobra.Command {
	var net string
	c := &cobra.Command{Use: use, Short: short, Args: args,
		RunE: func(cmd *cobra.Command, args []string) error {
			api, err := a.controls(net)
			if err != nil {
				return err
			}
			res, err := send(cmd.Context(), api, args)
			var p *problem
			if errors.As(err, &p) {
				return err
			}
			if err != nil {
				return answer(0, nil, err)
			}
			defer res.Body.Close()
			b, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
			if err := notHere(res.StatusCode, b, err); err != nil {
				return err
			}
			var v T
			if len(b) > 0 {
				if err := json.Unmarshal(b, &v); err != nil {
					return answer(0, nil, err)
				}
			}
			return a.show(v, func(w io.Writer) { text(w, v) })
		}}
	networkFlag(c, &net)
	return c
}

// notHere is answer, but says what it means that there are no controls.
func notHere(status int, body []byte, err error) error {
	err = answer(status, body, err)
	var p *problem
	if errors.As(err, &p) && p.Code == "no_such_route" {
		return fail(exitRefused, "dev_only", "no controls there",
			"the network is not a dev network, or its ledger is not on this machine, or is older than this program")
	}
	return err
}

func showHead(w io.Writer, h client.DevHead) {
	fmt.Fprintf(w, "block %d of epoch %d, fork %d, at %s\n", h.Height, h.Epoch, h.Fork, instant(h.TimeMs))
}

func showSnapshot(w io.Writer, s client.DevSnapshot) {
	fmt.Fprintf(w, "%s: block %d, at %s\n", s.Name, s.Height, instant(s.TimeMs))
}

func (a *app) devMine() *cobra.Command {
	return control(a, "mine [BLOCKS]", "Seal blocks at the present time (1)", cobra.MaximumNArgs(1),
		func(ctx context.Context, api *client.Client, args []string) (*http.Response, error) {
			n := 1
			if len(args) > 0 {
				var err error
				if n, err = strconv.Atoi(args[0]); err != nil || n < 1 || n > ledger.MaxMine {
					return nil, usage("%q is not a number of blocks from 1 to %d", args[0], ledger.MaxMine)
				}
			}
			return api.DevMine(ctx, client.DevMine{Blocks: n})
		}, showHead)
}

func (a *app) devAdvance() *cobra.Command {
	return control(a, "advance DURATION", "Move the clock forward (90s, 2h30m, 30d) and seal what falls due on the way", cobra.ExactArgs(1),
		func(ctx context.Context, api *client.Client, args []string) (*http.Response, error) {
			d, err := scenario.Duration(args[0])
			if err != nil {
				return nil, usage("%q is not a duration such as 90s, 2h30m or 30d", args[0])
			}
			defer a.advancing(ctx, api, d)()
			return api.DevAdvance(ctx, client.DevAdvance{Ms: d.Milliseconds()})
		}, showHead)
}

func (a *app) devSnapshot() *cobra.Command {
	return control(a, "snapshot NAME", "Name the present state, to revert to as often as you like", cobra.ExactArgs(1),
		func(ctx context.Context, api *client.Client, args []string) (*http.Response, error) {
			return api.DevSnapshot(ctx, client.DevName{Name: args[0]})
		}, showSnapshot)
}

func (a *app) devSnapshots() *cobra.Command {
	return control(a, "snapshots", "List the snapshots", cobra.NoArgs,
		func(ctx context.Context, api *client.Client, _ []string) (*http.Response, error) {
			return api.DevListSnapshots(ctx)
		}, func(w io.Writer, all []client.DevSnapshot) {
			for _, s := range all {
				showSnapshot(w, s)
			}
		})
}

func (a *app) devDrop() *cobra.Command {
	return control(a, "drop NAME", "Forget a snapshot", cobra.ExactArgs(1),
		func(ctx context.Context, api *client.Client, args []string) (*http.Response, error) {
			return api.DevDropSnapshot(ctx, args[0])
		}, func(w io.Writer, _ struct{}) { fmt.Fprintln(w, "forgotten") })
}

func (a *app) devRevert() *cobra.Command {
	return control(a, "revert NAME", "Go back to a snapshot, in a new fork", cobra.ExactArgs(1),
		func(ctx context.Context, api *client.Client, args []string) (*http.Response, error) {
			return api.DevRevert(ctx, client.DevName{Name: args[0]})
		}, showHead)
}

func (a *app) devFund() *cobra.Command {
	return control(a, "fund ADDRESS TUN", "Give an account tokens of the reward pool", cobra.ExactArgs(2),
		func(ctx context.Context, api *client.Client, args []string) (*http.Response, error) {
			to, err := chain.ParseAddress(args[0])
			if err != nil {
				return nil, usage("%v", err)
			}
			x, err := chain.ParseTUN(args[1])
			if err != nil {
				return nil, usage("%q is not an amount of TUN such as 2000 or 0.5", args[1])
			}
			return api.DevFund(ctx, client.DevFund{Address: to.String(), Amount: strconv.FormatUint(uint64(x), 10)})
		}, showHead)
}

func (a *app) devDump() *cobra.Command {
	var net string
	c := &cobra.Command{
		Use: "dump FILE", Short: "Save genesis, clock, blocks and waiting transactions; - is standard output", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			api, err := a.controls(net)
			if err != nil {
				return err
			}
			res, err := api.DevDump(cmd.Context())
			if err != nil {
				return answer(0, nil, err)
			}
			defer res.Body.Close()
			if res.StatusCode != http.StatusOK {
				b, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
				return notHere(res.StatusCode, b, err)
			}
			if args[0] == "-" {
				if _, err := io.Copy(a.Out, res.Body); err != nil {
					return answer(0, nil, err)
				}
				return nil
			}
			// A dump that is cut off leaves what stood under this name before.
			var n int64
			var cut error
			err = durable.WriteFrom(args[0], 0o644, func(w io.Writer) error {
				n, cut = io.Copy(w, res.Body)
				return cut
			})
			switch {
			case cut != nil:
				return answer(0, nil, cut)
			case err != nil:
				return err
			}
			v := struct {
				File  string `json:"file"`
				Bytes int64  `json:"bytes"`
			}{args[0], n}
			return a.show(v, func(w io.Writer) { fmt.Fprintf(w, "%s: %d bytes\n", v.File, v.Bytes) })
		}}
	networkFlag(c, &net)
	return c
}

func (a *app) devLoad() *cobra.Command {
	var dir string
	c := &cobra.Command{
		Use: "load FILE", Short: "Go on from a dump in a ledger's folder that has no database yet", Args: cobra.ExactArgs(1),
		Long: `Go on from a dump in a ledger's folder that has no database yet.

The folder holds genesis and sealer key of the dump's network: a copy of the
former ledger's without its database. Then run it: tunic ledger run --dir DIR.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := need("dir", dir, "mynet"); err != nil {
				return err
			}
			g, err := node.ReadGenesis(dir)
			if err != nil {
				return err
			}
			key, err := sealerOf(dir)
			if err != nil {
				return err
			}
			f, err := os.Open(args[0])
			if errors.Is(err, fs.ErrNotExist) {
				return fail(exitFailed, "no_dump", "no such dump", "%s", args[0])
			}
			if err != nil {
				return err
			}
			defer f.Close()
			var first struct{ Genesis *json.RawMessage }
			if json.NewDecoder(io.LimitReader(f, maxGenesisLine)).Decode(&first) == nil && first.Genesis != nil {
				if own, err := json.Marshal(g); err == nil && !sameJSON(own, *first.Genesis) {
					return fail(exitFailed, "foreign_network", "a dump of another network", "its genesis is not the one in %s", dir)
				}
			}
			if _, err := f.Seek(0, io.SeekStart); err != nil {
				return err
			}
			stop := a.busy("replaying")
			r, err := ledger.Load(cmd.Context(), node.DBDir(dir), key, f)
			stop()
			switch {
			case errors.Is(err, ledger.ErrNotDev):
				return fail(exitRefused, "dev_only", "not a dev network", "only dev networks go on from a dump")
			case errors.Is(err, ledger.ErrConfig):
				return fail(exitFailed, "exists", "cannot load there", "%v", err)
			case err != nil:
				return dbError(node.DBDir(dir), err)
			}
			return a.showReport("loaded; a new fork begins", r)
		}}
	c.Flags().StringVar(&dir, "dir", "", "the ledger's folder")
	return c
}

func sameJSON(x, y []byte) bool {
	var a, b bytes.Buffer
	return json.Compact(&a, x) == nil && json.Compact(&b, y) == nil && bytes.Equal(a.Bytes(), b.Bytes())
}

func sealerOf(dir string) (ed25519.PrivateKey, error) {
	b, err := durable.ReadFile(filepath.Join(dir, node.SealerFile), 1<<10)
	if err != nil {
		return nil, fmt.Errorf("read sealer key: %w", err)
	}
	defer clear(b)
	seed, err := hex.DecodeString(string(bytes.TrimSpace(b)))
	if err != nil || len(seed) != ed25519.SeedSize {
		return nil, fail(exitFailed, "bad_key", "the sealer key is damaged", "%s is not 64 hex digits", node.SealerFile)
	}
	defer clear(seed)
	return ed25519.NewKeyFromSeed(seed), nil
}
