package api

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"tunic/api/oas"
	"tunic/chain"
)

// What Config.Step may answer instead of a Step. Any other error means that the
// step was understood and could not be taken.
var (
	// ErrNoSteps means that nothing runs around the ledger that takes steps.
	ErrNoSteps = errors.New("api: no steps here")
	// ErrStep means that the text is no step; what it wraps says where and why.
	ErrStep = errors.New("api: not a step")
)

// Step is what came of a step of a scenario.
type Step struct {
	Want, Is string       // where an expectation does not hold
	Refused  string       // code with which the step's transaction was refused
	Head     chain.Header // after it
}

// DevStep takes a step of a scenario.
func (s *server) DevStep(ctx context.Context, req oas.DevStepRequestObject) (oas.DevStepResponseObject, error) {
	if s.cfg.Step == nil {
		return nil, stepProblem(ErrNoSteps)
	}
	x, err := s.cfg.Step(ctx, req.Body.Step)
	if err != nil {
		return nil, stepProblem(err)
	}
	out := oas.DevStep200JSONResponse{Ok: x.Want == "", Head: headOf(x.Head)}
	for to, text := range map[**string]string{&out.Expected: x.Want, &out.Is: x.Is, &out.Refused: x.Refused} {
		if text != "" {
			*to = &text
		}
	}
	return out, nil
}

func stepProblem(err error) error {
	switch {
	case errors.Is(err, ErrNoSteps):
		return problem(http.StatusNotFound, codeNoSteps, "no network runs around this ledger that takes steps")
	case errors.Is(err, ErrStep):
		return problem(http.StatusBadRequest, codeBadStep, strings.TrimPrefix(err.Error(), ErrStep.Error()+": "))
	}
	return problem(http.StatusConflict, codeStepFailed, err.Error())
}
