package api

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/gin-gonic/gin"

	"tunic/api/pages"
	"tunic/chain"
	"tunic/internal/httpx"
	"tunic/ledger"
	"tunic/ledger/machine"
	"tunic/registry"
	"tunic/slashing"
)

// Codes of this server's own problems. docs/spec/api.md lists them with those
// of the ledger's refusals.
const (
	codeInvalidRequest     = "invalid_request"
	codeLimitTooLarge      = "limit_too_large"
	codeInvalidCursor      = "invalid_cursor"
	codeMalformedBody      = "malformed_body"
	codeCrossOrigin        = "cross_origin"
	codeNoRoute            = "no_such_route"
	codeMethod             = "method_not_allowed"
	codeNotAcceptable      = "not_acceptable"
	codeTooLarge           = "body_too_large"
	codeMediaType          = "unsupported_media_type"
	codeMessage            = "malformed_message"
	codeInternal           = "internal"
	codeHalted             = "ledger_halted"
	codeNoHead             = "no_head"
	codeTooManyStreams     = "too_many_streams"
	codeEventsGone         = "events_gone"
	codeBlockUnknown       = "block_not_found"
	codePruned             = "pruned"
	codeCertificateUnknown = "certificate_not_found"
	codeTxUnknown          = "transaction_not_found"
	codeHeightUnknown      = "height_not_found"
	codeHeightNotKept      = "height_not_kept"
	codeStakeUnknown       = "stake_not_found"
	codeNodeUnknown        = "node_not_found"
	codeEpochUnknown       = "epoch_not_found"
	codeSnapshotUnknown    = "snapshot_not_found"
	codeSnapshot           = "snapshot_refused"
	codeClock              = "clock_cannot_move"
	codeNoSteps            = "no_steps"
	codeBadStep            = "bad_step"
	codeStepFailed         = "step_failed"
	codeOffenceUnknown     = "offence_not_found"
	codeChallengeGone      = "challenge_not_found"
	retryAfterNoHead       = 1
	retryAfterTooMany      = 5
	retryAfterHalted       = 60
	maxProblemDetail       = 300
	maxFieldErrorDetail    = 120
)

// hopeless are the refusals that no state could turn into acceptance: 422. All
// others depend on what the ledger holds now: 409.
var hopeless = map[string]bool{
	machine.CodeMalformed: true, machine.CodeUnknownKind: true, machine.CodeBadSignature: true, machine.CodeUnknownLabel: true,
	machine.CodeZeroAmount: true, machine.CodeZeroAddress: true, codeMessage: true,
	registry.CodeMalformed: true, registry.CodeUnsupported: true, registry.CodeBadKey: true, registry.CodeBadVRF: true,
	slashing.ErrMalformed.Code: true, slashing.ErrUnsupportedKind.Code: true, slashing.ErrForeignNetwork.Code: true,
	slashing.ErrWrongPair.Code: true, slashing.ErrSameContent.Code: true, slashing.ErrNotListed.Code: true,
	slashing.ErrWrongStatement.Code: true, slashing.ErrBadState.Code: true, slashing.ErrVersionAllowed.Code: true, slashing.ErrInGrace.Code: true,
	slashing.ErrWrongQuorum.Code: true, slashing.ErrTooFewVotes.Code: true, slashing.ErrKeyNotInForce.Code: true, slashing.ErrEarlyBeacon.Code: true,
}

// answer is a problem with the Retry-After that goes with it, in seconds.
type answer struct {
	httpx.Problem
	retryAfter int
}

func problem(status int, code, detail string) answer {
	return answer{Problem: httpx.Problem{Status: status, Code: code, Detail: httpx.Clip(detail, maxProblemDetail)}}
}

func (a answer) after(seconds int) answer {
	a.retryAfter = seconds
	return a
}

// field is a problem with one parameter or one member of a body.
func field(code, name, detail string) answer {
	a := problem(http.StatusBadRequest, code, name+": "+detail)
	a.Errors = []httpx.FieldError{{Field: name, Detail: httpx.Clip(detail, maxFieldErrorDetail)}}
	return a
}

// notFound is the answer where there is no such thing.
func notFound(code, detail string) answer {
	return problem(http.StatusNotFound, code, detail)
}

// explainMissing is notFound for an error of the ledger; of a block below its
// first one it says which that is.
func (s *server) explainMissing(err error, code, detail string) error {
	switch {
	case errors.Is(err, ledger.ErrPruned):
		return notFound(codePruned, fmt.Sprintf("this copy of the ledger has blocks from height %d on; ask one that has all", s.ledger.First()))
	case errors.Is(err, ledger.ErrNotFound):
		return notFound(code, detail)
	}
	return err
}

// pagesKey is where a gin.Context has the *pages.Site.
const pagesKey = "tunic/pages"

// fail answers with a problem and ends the request: of a page, with a page
// about it.
func fail(c *gin.Context, a answer) {
	c.Abort()
	if a.retryAfter > 0 {
		c.Header("Retry-After", strconv.Itoa(a.retryAfter))
	}
	if site, ok := c.Get(pagesKey); ok && isPage(c.Request.URL.Path) && site.(*pages.Site).Problem(c.Writer, c.Request, a.Problem) {
		return
	}
	httpx.WriteProblem(c.Writer, c.Request, a.Problem)
}

// turnAway answers in place of the router, where there are too many requests or
// a handler panicked: for little, whatever the state of the ledger.
func (s *server) turnAway(w http.ResponseWriter, r *http.Request, p httpx.Problem) {
	if isPage(r.URL.Path) && s.pages.BareProblem(w, r, p) {
		return
	}
	httpx.WriteProblem(w, r, p)
}

// isPage reports whether a path is for people, not for programs.
func isPage(path string) bool {
	for _, p := range []string{"/v1/", "/api/", controls, "/json_rpc", "/eth", "/healthz", "/readyz", "/openapi.json"} {
		if strings.HasPrefix(path, p) {
			return false
		}
	}
	return true
}

// failed answers with what err means. Errors that nobody expected are logged
// and not shown.
func (s *server) failed(c *gin.Context, err error) {
	if c.Writer.Written() {
		// The answer has begun: it can only be cut off.
		s.cfg.Logger.Debug("answer cut off", "route", c.FullPath(), "request", httpx.RequestID(c.Writer), "error", err)
		panic(http.ErrAbortHandler)
	}
	a, known := s.explain(err)
	if !known && c.Request.Context().Err() == nil {
		s.cfg.Logger.Error("request failed", "route", c.FullPath(), "request", httpx.RequestID(c.Writer), "error", err)
	}
	fail(c, a)
}

// explain turns an error of a handler into its answer.
func (s *server) explain(err error) (a answer, known bool) {
	var r *chain.Refusal
	switch {
	case errors.As(err, &a):
		return a, true
	case errors.As(err, &r):
		return s.refused(r), true
	case errors.Is(err, ledger.ErrHalted) || s.ledger.Err() != nil:
		return problem(http.StatusServiceUnavailable, codeHalted, "the ledger has halted; ask another one").after(retryAfterHalted), true
	}
	return problem(http.StatusInternalServerError, codeInternal, ""), false
}

// withoutPackages takes Go's names out of a detail that was made of an error.
var withoutPackages = strings.NewReplacer("chain: ", "", "statement: ", "", "wire: ", "")

// refused is the answer to what the ledger does not take.
func (s *server) refused(r *chain.Refusal) answer {
	detail := withoutPackages.Replace(r.Detail)
	switch {
	case r.Code == ledger.CodePoolFull:
		interval := s.ledger.Core().Params.BlockInterval
		return problem(http.StatusServiceUnavailable, r.Code, detail).after(int((interval + 999) / 1000))
	case hopeless[r.Code]:
		return problem(http.StatusUnprocessableEntity, r.Code, detail)
	}
	return problem(http.StatusConflict, r.Code, detail)
}

// panicked reports a panic of a handler, which the client sees as "internal".
func (s *server) panicked(w http.ResponseWriter, r *http.Request, value any) {
	if x := exchangeOf(r.Context()); x != nil {
		x.Panicked = true
	}
	s.cfg.Logger.Error("panic in a handler", "request", httpx.RequestID(w), "method", r.Method, "value", value)
}
