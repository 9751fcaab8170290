package ledger_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"tunic/chain"
	"tunic/internal/durable"
	"tunic/ledger"
)

// childEnv tells the test binary, started again, what to be: "point:n:dir" is a
// ledger that kills itself the n-th time it comes to that point.
const childEnv = "TUNIC_LEDGER_CHILD"

func TestMain(m *testing.M) {
	if f := strings.SplitN(os.Getenv(childEnv), ":", 3); len(f) == 3 {
		var n int
		fmt.Sscan(f[1], &n)
		child(f[0], n, f[2])
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// child seals one transfer after another and says which blocks it has shown and
// which transactions it has acknowledged.
func child(point string, n int, dir string) {
	cfg := config(dir, ledger.ModeManual)
	cfg.Hook = func(at string) {
		if at == point {
			if n--; n == 0 {
				syscall.Kill(os.Getpid(), syscall.SIGKILL)
				select {}
			}
		}
	}
	ctx := context.Background()
	l, err := ledger.Open(ctx, cfg)
	if err != nil {
		fmt.Println("error", err)
		return
	}
	fmt.Println("open")
	if point == "hold" {
		select {}
	}
	for {
		l.Clock().Set(l.Clock().Now() + 700)
		id, err := l.Submit(ctx, transfer(cfg.Genesis, "a", "b", l.NextNonce(address("a")), 1))
		if err != nil {
			fmt.Println("error", err)
			return
		}
		s, err := l.Seal(ctx)
		if err != nil {
			fmt.Println("error", err)
			return
		}
		fmt.Println("block", s.Header.Height, s.Header.Hash(), id)
		if !strings.HasSuffix(point, "-revert") {
			continue
		}
		if s.Header.Height == 3 {
			_, err = l.Snapshot("three")
		} else if s.Header.Height == 6 {
			_, err = l.Revert(ctx, "three")
		}
		if err != nil {
			fmt.Println("error", err)
			return
		}
	}
}

func startChild(t *testing.T, point string, n int, dir string) (*bufio.Scanner, *exec.Cmd) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%s:%d:%s", childEnv, point, n, dir))
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	return bufio.NewScanner(out), cmd
}

// Killed at every named point, again and again in one folder: nothing that was
// acknowledged is lost, and no height gets a second header.
func TestCrashAtEveryPoint(t *testing.T) {
	dir := t.TempDir()
	shown := map[chain.Height]string{}
	acked := map[string]chain.Height{}
	rng := rand.New(rand.NewPCG(1, 1))
	for _, point := range []string{"before-batch", "after-batch", "after-publish"} {
		for _, n := range []int{1, 3} {
			lines, cmd := startChild(t, point, n, dir)
			for lines.Scan() {
				f := strings.Fields(lines.Text())
				switch f[0] {
				case "block":
					var h chain.Height
					fmt.Sscan(f[1], &h)
					if was, ok := shown[h]; ok && was != f[2] {
						t.Fatalf("%s: height %d has headers %s and %s", point, h, was, f[2])
					}
					shown[h] = f[2]
					acked[f[3]] = h
				case "error":
					t.Fatalf("%s: %s", point, lines.Text())
				}
			}
			cmd.Wait()
			l := open(t, config(dir, ledger.ModeManual))
			head := l.Head().Header.Height
			for h, hash := range shown {
				if b, err := l.Block(h); err != nil || b.Header.Hash().String() != hash {
					t.Fatalf("%s: block %d was shown as %s: %v", point, h, hash, err)
				}
			}
			for id, h := range acked {
				x, _ := chain.ParseHash(id)
				if s, err := l.Tx(x); err != nil || s.State != ledger.TxIncluded || s.Height != h {
					t.Fatalf("%s: transaction %s: %+v, %v", point, id, s, err)
				}
			}
			// What is stored counts as shown: it may have been.
			for h := chain.Height(1); h <= head; h++ {
				b, err := l.Block(h)
				if err != nil {
					t.Fatal(err)
				}
				shown[h] = b.Header.Hash().String()
			}
			check(t, l)
			checkStates(t, l, rng, 0)
			l.Close()
		}
	}
	if len(acked) < 5 {
		t.Fatalf("only %d acknowledged", len(acked))
	}
	if r, err := ledger.Verify(context.Background(), dir); err != nil || int(r.Height) != len(shown) {
		t.Fatalf("%+v, %v", r, err)
	}
}

func TestSecondProcessIsRefused(t *testing.T) {
	dir := t.TempDir()
	lines, cmd := startChild(t, "hold", 0, dir)
	if !lines.Scan() || lines.Text() != "open" {
		t.Fatalf("child: %q", lines.Text())
	}
	_, err := ledger.Open(context.Background(), config(dir, ledger.ModeManual))
	if !errors.Is(err, durable.ErrLocked) || !strings.Contains(err.Error(), fmt.Sprint(cmd.Process.Pid)) {
		t.Fatalf("second process: %v", err)
	}
	if _, err := ledger.Verify(context.Background(), dir); !errors.Is(err, durable.ErrLocked) {
		t.Fatalf("verify beside it: %v", err)
	}
	cmd.Process.Kill()
	cmd.Wait()
	open(t, config(dir, ledger.ModeManual))
}
