package api

import (
	"context"
	"net/http"

	"tunic/api/oas"
)

func unbuilt() error { return problem(http.StatusNotImplemented, "not_built", "comes with its file") }

func (s *server) GetRewards(context.Context, oas.GetRewardsRequestObject) (oas.GetRewardsResponseObject, error) {
	return nil, unbuilt()
}

func (s *server) ListUnlocking(context.Context, oas.ListUnlockingRequestObject) (oas.ListUnlockingResponseObject, error) {
	return nil, unbuilt()
}
