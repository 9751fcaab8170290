package api

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/gin-gonic/gin"

	"tunic/api/oas"
	"tunic/chain"
	"tunic/internal/httpx"
	"tunic/ledger"
)

// controls is where the controls of dev networks begin.
const controls = "/dev/"

func isControl(c *gin.Context) bool { return strings.HasPrefix(c.FullPath(), controls) }

// devBody has the members of every control's body, to be decoded strictly;
// which of them belong is for the specification to say.
type devBody struct {
	Blocks  *json.Number `json:"blocks"`
	Ms      *json.Number `json:"ms"`
	Name    *string      `json:"name"`
	Address *string      `json:"address"`
	Amount  *string      `json:"amount"`
	Step    *string      `json:"step"`
}

// faucet is the page that gives units away: a control for browsers.
const faucet = "/faucet"

// guard hides the controls outside dev networks, and from everybody but programs
// on this machine that ask for it by a loopback name: no other host, no proxy, no
// page in a browser but this server's own, and that by GET alone. The faucet's form it leaves to this server's own page.
func (s *server) guard(c *gin.Context) {
	r, at := c.Request, c.FullPath()
	gives := at == faucet && r.Method == http.MethodPost
	if isControl(c) || gives {
		if !s.ledger.Core().Dev || !httpx.IsLocal(r) || isControl(c) && httpx.FromPage(r) {
			noRoute(c)
		}
	}
}

// control turns an error of a control into its answer.
func control(err error) error {
	switch {
	case errors.Is(err, ledger.ErrNotDev), errors.Is(err, ledger.ErrNoSealer):
		return problem(http.StatusNotFound, codeNoRoute, "this ledger has no such controls")
	case errors.Is(err, ledger.ErrCorrupt):
		return err
	case errors.Is(err, ledger.ErrNotFound):
		return problem(http.StatusNotFound, codeSnapshotUnknown, "there is no such snapshot")
	case errors.Is(err, ledger.ErrSnapshot):
		return problem(http.StatusConflict, codeSnapshot, strings.TrimPrefix(err.Error(), ledger.ErrSnapshot.Error()+": "))
	case errors.Is(err, ledger.ErrClock):
		return problem(http.StatusConflict, codeClock, "the clock is the machine's")
	}
	return err
}

func headOf(h chain.Header) oas.DevHead {
	return oas.DevHead{Height: int64(h.Height), Epoch: int64(h.DirEpoch), Fork: int64(h.Fork), TimeMs: int64(h.Time), Hash: h.Hash().String()}
}

func snapshotOf(x ledger.Snapshot) oas.DevSnapshot {
	return oas.DevSnapshot{Name: x.Name, Height: int64(x.Height), Hash: x.Hash.String(), TimeMs: int64(x.Time)}
}

// DevMine seals blocks.
func (s *server) DevMine(ctx context.Context, req oas.DevMineRequestObject) (oas.DevMineResponseObject, error) {
	h, err := s.ledger.Mine(ctx, req.Body.Blocks)
	if err != nil {
		return nil, control(err)
	}
	return oas.DevMine200JSONResponse(headOf(h.Header)), nil
}

// DevAdvance moves the clock.
func (s *server) DevAdvance(ctx context.Context, req oas.DevAdvanceRequestObject) (oas.DevAdvanceResponseObject, error) {
	if err := s.ledger.Advance(ctx, chain.Duration(req.Body.Ms)); err != nil {
		return nil, control(err)
	}
	return oas.DevAdvance200JSONResponse(headOf(s.ledger.Head().Header)), nil
}

// DevListSnapshots lists what can be reverted to.
func (s *server) DevListSnapshots(context.Context, oas.DevListSnapshotsRequestObject) (oas.DevListSnapshotsResponseObject, error) {
	all, err := s.ledger.Snapshots()
	if err != nil {
		return nil, control(err)
	}
	out := oas.DevListSnapshots200JSONResponse{}
	for _, x := range all {
		out = append(out, snapshotOf(x))
	}
	return out, nil
}

// DevSnapshot names the present state.
func (s *server) DevSnapshot(_ context.Context, req oas.DevSnapshotRequestObject) (oas.DevSnapshotResponseObject, error) {
	x, err := s.ledger.Snapshot(req.Body.Name)
	if err != nil {
		return nil, control(err)
	}
	return oas.DevSnapshot200JSONResponse(snapshotOf(x)), nil
}

// DevDropSnapshot forgets a snapshot.
func (s *server) DevDropSnapshot(_ context.Context, req oas.DevDropSnapshotRequestObject) (oas.DevDropSnapshotResponseObject, error) {
	if err := s.ledger.DropSnapshot(req.Name); err != nil {
		return nil, control(err)
	}
	return oas.DevDropSnapshot204Response{}, nil
}

// DevRevert goes back to a snapshot.
func (s *server) DevRevert(ctx context.Context, req oas.DevRevertRequestObject) (oas.DevRevertResponseObject, error) {
	h, err := s.ledger.Revert(ctx, req.Body.Name)
	if err != nil {
		return nil, control(err)
	}
	return oas.DevRevert200JSONResponse(headOf(h.Header)), nil
}

// DevFund gives an account units of the reward pool.
func (s *server) DevFund(ctx context.Context, req oas.DevFundRequestObject) (oas.DevFundResponseObject, error) {
	to, err := chain.ParseAddress(req.Body.Address)
	if err != nil {
		return nil, field(codeInvalidRequest, "address", "is not an address with its checksum")
	}
	units, err := strconv.ParseUint(req.Body.Amount, 10, 64)
	if err != nil {
		return nil, field(codeInvalidRequest, "amount", "is not a number of units")
	}
	h, err := s.ledger.Fund(ctx, to, chain.Amount(units))
	if err != nil {
		return nil, control(err)
	}
	return oas.DevFund200JSONResponse(headOf(h.Header)), nil
}

// DevDump streams a dump; one that fails half-way is cut off.
func (s *server) DevDump(ctx context.Context, _ oas.DevDumpRequestObject) (oas.DevDumpResponseObject, error) {
	if !s.ledger.Core().Dev {
		return nil, control(ledger.ErrNotDev)
	}
	r, w := io.Pipe()
	go func() { w.CloseWithError(s.ledger.Dump(ctx, w)) }()
	return oas.DevDump200ApplicationoctetStreamResponse{Body: r}, nil
}
