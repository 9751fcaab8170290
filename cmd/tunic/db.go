package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"tunic/chain/genesis"
	"tunic/internal/durable"
	"tunic/ledger"
	"tunic/node"
)

// maxGenesisLine bounds the first line of an export.
const maxGenesisLine = 64 << 20

func (a *app) dbCommand() *cobra.Command {
	return noun("db", "What a ledger or relay keeps on disk: verify, repair, copy", a.dbVerify(), a.dbRepair(), a.dbExport(), a.dbImport())
}

func ledgerDir(c *cobra.Command, dir *string) {
	c.Flags().StringVar(dir, "dir", "", "the ledger's folder, or that of the database in it; no ledger may run there")
}

// noRelay refuses a relay's folder.
func noRelay(dir string) error {
	if isRelay(dir) {
		return usage("%s is a relay's folder; only `tunic db repair` takes one", dir)
	}
	return nil
}

// database is the folder of the database that dir means: a ledger's folder has
// it beside genesis.json. Any other is taken for the database's own.
func database(dir string) string {
	_, err := os.Stat(filepath.Join(dir, node.GenesisFile))
	if _, db := os.Stat(node.DBDir(dir)); err != nil && db == nil {
		return dir
	}
	return node.DBDir(dir)
}

// busy shows on a terminal that something takes its time, until stop is called.
func (a *app) busy(what string) (stop func()) {
	if !terminal(a.Err) || a.json() {
		return func() {}
	}
	p := mpb.New(mpb.WithOutput(a.Err), mpb.WithRefreshRate(200*time.Millisecond))
	bar := p.New(0, mpb.SpinnerStyle(), mpb.BarWidth(3), mpb.BarRemoveOnComplete(),
		mpb.PrependDecorators(decor.Name(what+" ")), mpb.AppendDecorators(decor.Elapsed(decor.ET_STYLE_GO)))
	return func() {
		bar.SetTotal(-1, true)
		p.Wait()
	}
}

// dbError says what an error of the database means.
func dbError(dir string, err error) error {
	switch {
	case errors.Is(err, ledger.ErrCorrupt):
		return fail(exitFalse, "corrupt", "the database does not hold", "%s", advised(err, "`tunic db repair --dir "+dir+"` keeps what does"))
	case errors.Is(err, ledger.ErrNotFound):
		return fail(exitFailed, "no_database", "no database in "+dir, "a ledger makes it when it is first run")
	case errors.Is(err, ledger.ErrBlock), unreadable(err):
		return fail(exitFalse, "invalid_block", "the export does not hold", "%v; the blocks before it are in %s; take an export of another copy of the ledger", err, dir)
	}
	return err
}

// unreadable reports whether a line of an export is none.
func unreadable(err error) bool {
	var text base64.CorruptInputError
	var syntax *json.SyntaxError
	var typ *json.UnmarshalTypeError
	return errors.As(err, &text) || errors.As(err, &syntax) || errors.As(err, &typ) || errors.Is(err, bufio.ErrTooLong)
}

func (a *app) showReport(title string, r ledger.DBReport) error {
	return a.show(r, func(w io.Writer) {
		fmt.Fprintln(w, title)
		rows := [][]string{{"network", r.Genesis.String()}, {"height", fmt.Sprint(r.Height)}, {"epoch", fmt.Sprint(r.Epoch)}, {"head", r.Head.String()}, {"state", r.State.String()}}
		if r.Txs > 0 {
			rows = append(rows, []string{"transactions", fmt.Sprint(r.Txs)})
		}
		table(w, rows...)
	})
}

func (a *app) dbVerify() *cobra.Command {
	var dir string
	c := &cobra.Command{
		Use: "verify", Short: "Replay every block and check every invariant", Args: cobra.NoArgs,
		Long: "Replay every block from genesis, and hold headers, seals, results, the stored state\nand every invariant against each other. Exits with 3 where something does not hold.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := cmp.Or(need("dir", dir, "mynet"), noRelay(dir)); err != nil {
				return err
			}
			stop := a.busy("verifying")
			r, err := ledger.Verify(cmd.Context(), database(dir))
			stop()
			if err == nil {
				err = sameGenesis(dir, r)
			}
			if err != nil {
				return dbError(dir, err)
			}
			return a.showReport("all blocks, seals, results, the state and every invariant hold", r)
		},
	}
	ledgerDir(c, &dir)
	return c
}

// sameGenesis holds genesis.json, where dir has one, against the database.
func sameGenesis(dir string, r ledger.DBReport) error {
	if database(dir) == dir {
		return nil
	}
	g, err := node.ReadGenesis(dir)
	if err != nil {
		return err
	}
	if got := g.Hash(); got != r.Genesis {
		return fail(exitFalse, "foreign_network", "the database is of another network", "it is of genesis %s, %s says %s", r.Genesis, node.GenesisFile, got)
	}
	return nil
}

func (a *app) dbRepair() *cobra.Command {
	var dir string
	c := &cobra.Command{
		Use: "repair", Short: "Keep what holds of a ledger's blocks, or of a relay's mailboxes", Args: cobra.NoArgs,
		Long: `Keep the blocks that follow from genesis, and rebuild all state from them. The
damaged database is kept beside the new one.

In a relay's folder: keep every item of its mailboxes that can still be read.
Senders store again what is lost, until it is confirmed.

A sealer that goes on from a shorter chain seals heights a second time, and
clients that saw the first halt: where another copy has more blocks, import that.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := need("dir", dir, "mynet"); err != nil {
				return err
			}
			if isRelay(dir) {
				return a.repairRelay(dir)
			}
			stop := a.busy("repairing")
			r, err := ledger.Repair(cmd.Context(), database(dir))
			stop()
			if err != nil {
				return dbError(dir, err)
			}
			return a.showReport("repaired; the chain ends here now", r)
		},
	}
	ledgerDir(c, &dir)
	return c
}

// isRelay reports whether dir is a relay's folder. A validator's has a node's key too,
// beside its ledger.
func isRelay(dir string) bool {
	_, key := os.Stat(filepath.Join(dir, node.RelayKeyFile))
	_, ledger := os.Stat(filepath.Join(dir, node.GenesisFile))
	return key == nil && ledger != nil
}

func (a *app) repairRelay(dir string) error {
	stop := a.busy("repairing")
	err := node.RepairRelay(dir)
	stop()
	if err != nil {
		return err
	}
	return a.show(map[string]any{"repaired": dir}, func(w io.Writer) {
		fmt.Fprintf(w, "repaired: the mailboxes in %s hold what could be read\n", dir)
	})
}

// counted counts what is written through it.
type counted struct {
	io.Writer
	n int64
}

func (c *counted) Write(b []byte) (int, error) {
	n, err := c.Writer.Write(b)
	c.n += int64(n)
	return n, err
}

func (a *app) dbExport() *cobra.Command {
	var dir, out string
	c := &cobra.Command{
		Use: "export", Short: "Write the genesis and all blocks to a file, one a line", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := cmp.Or(need("dir", dir, "mynet"), noRelay(dir), need("out", out, "blocks.ndjson")); err != nil {
				return err
			}
			if out == "-" {
				_, err := ledger.Export(cmd.Context(), database(dir), a.Out)
				return dbError(dir, err)
			}
			return a.exportFile(cmd.Context(), dir, out)
		},
	}
	ledgerDir(c, &dir)
	c.Flags().StringVar(&out, "out", "", "file to write; - for standard output")
	return c
}

// exportFile writes beside the file first, so that a file that is there is whole.
func (a *app) exportFile(ctx context.Context, dir, out string) error {
	f, err := os.CreateTemp(filepath.Dir(out), "."+filepath.Base(out)+".*")
	if err != nil {
		return fail(exitFailed, "unwritable", "cannot write "+out, "%v", reason(err))
	}
	defer os.Remove(f.Name()) // gone already where all went well
	defer f.Close()
	w := &counted{Writer: f}
	stop := a.busy("exporting")
	height, err := ledger.Export(ctx, database(dir), w)
	stop()
	if err != nil {
		return dbError(dir, err)
	}
	for _, do := range []func() error{f.Sync, f.Close, func() error { return os.Chmod(f.Name(), 0o644) }, func() error { return os.Rename(f.Name(), out) },
		func() error { return durable.SyncDir(filepath.Dir(out)) }} {
		if err := do(); err != nil {
			return fail(exitFailed, "unwritable", "cannot write "+out, "%v", reason(err))
		}
	}
	return a.show(map[string]any{"height": height, "file": out, "bytes": w.n}, func(io.Writer) {
		a.say("%d blocks, %d bytes, in %s; `tunic db import %s --dir DIR` makes a ledger of it", height, w.n, out, out)
	})
}

func (a *app) dbImport() *cobra.Command {
	var dir string
	c := &cobra.Command{
		Use: "import FILE", Short: "Make a ledger's folder from an export, verifying every block", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := need("dir", dir, "mynet"); err != nil {
				return err
			}
			f, err := os.Open(args[0])
			if err != nil {
				return fail(exitFailed, "no_file", "cannot read "+args[0], "%v", reason(err))
			}
			defer f.Close()
			g, in, err := peekGenesis(f)
			if err != nil {
				return fail(exitFalse, "no_export", "no export", "%s: %v", args[0], err)
			}
			if err := placeGenesis(dir, g); err != nil {
				return err
			}
			stop := a.busy("importing")
			r, err := ledger.ImportFile(cmd.Context(), node.DBDir(dir), in)
			stop()
			if errors.Is(err, ledger.ErrConfig) {
				return fail(exitFailed, "exists", "a database is there already", "%s; choose another folder", dir)
			}
			if err != nil {
				return dbError(dir, err)
			}
			title := "imported; all blocks, seals and results hold"
			if _, err := os.Stat(filepath.Join(dir, node.SealerFile)); err != nil {
				title += "\nto seal on, put the network's " + node.SealerFile + " into " + dir + "; never run two ledgers with it"
			}
			return a.showReport(title, r)
		},
	}
	c.Flags().StringVar(&dir, "dir", "", "the ledger's folder to make")
	return c
}

// peekGenesis reads the first line of an export and gives back the whole.
func peekGenesis(r io.Reader) (genesis.Genesis, io.Reader, error) {
	in := bufio.NewReader(io.LimitReader(r, maxGenesisLine))
	first, err := in.ReadBytes('\n')
	if err != nil {
		return genesis.Genesis{}, nil, errors.New("its first line holds no genesis")
	}
	var line struct {
		Genesis json.RawMessage `json:"genesis"`
	}
	if json.Unmarshal(first, &line) != nil || line.Genesis == nil {
		return genesis.Genesis{}, nil, errors.New("its first line holds no genesis")
	}
	g, err := genesis.Parse(line.Genesis)
	return g, io.MultiReader(bytes.NewReader(first), in, r), err
}

// placeGenesis writes genesis and network file where there are none yet; those
// that are there must be of the same network.
func placeGenesis(dir string, g genesis.Genesis) error {
	path := filepath.Join(dir, node.GenesisFile)
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		old, err := node.ReadGenesis(dir)
		if err == nil && old.Hash() != g.Hash() {
			err = fail(exitFalse, "foreign_network", "of another network", "the export is of genesis %s, %s of %s; choose another folder", g.Hash(), path, old.Hash())
		}
		return err
	}
	if err := durable.MkdirAll(dir); err != nil {
		return fail(exitFailed, "unwritable", "cannot make "+dir, "%v", reason(err))
	}
	b, err := json.MarshalIndent(g, "", "  ")
	if err != nil {
		return err
	}
	if err := writeOutput(path, append(b, '\n')); err != nil {
		return err
	}
	return writeOutput(filepath.Join(dir, node.NetworkFile), g.Network().Encode())
}
