package api

import (
	"context"
	"net/http"

	"tunic/api/oas"
)

func unbuilt() error { return problem(http.StatusNotImplemented, "not_built", "comes with its file") }

func (s *server) ExplainNode(context.Context, oas.ExplainNodeRequestObject) (oas.ExplainNodeResponseObject, error) {
	return nil, unbuilt()
}
func (s *server) ListNodeEpochs(context.Context, oas.ListNodeEpochsRequestObject) (oas.ListNodeEpochsResponseObject, error) {
	return nil, unbuilt()
}
func (s *server) ListUnlocking(context.Context, oas.ListUnlockingRequestObject) (oas.ListUnlockingResponseObject, error) {
	return nil, unbuilt()
}
func (s *server) GetRewards(context.Context, oas.GetRewardsRequestObject) (oas.GetRewardsResponseObject, error) {
	return nil, unbuilt()
}
func (s *server) ListEpochs(context.Context, oas.ListEpochsRequestObject) (oas.ListEpochsResponseObject, error) {
	return nil, unbuilt()
}
func (s *server) GetEpoch(context.Context, oas.GetEpochRequestObject) (oas.GetEpochResponseObject, error) {
	return nil, unbuilt()
}
func (s *server) ListQuorums(context.Context, oas.ListQuorumsRequestObject) (oas.ListQuorumsResponseObject, error) {
	return nil, unbuilt()
}
func (s *server) ListTransactions(context.Context, oas.ListTransactionsRequestObject) (oas.ListTransactionsResponseObject, error) {
	return nil, unbuilt()
}
func (s *server) GetOpenAPI(context.Context, oas.GetOpenAPIRequestObject) (oas.GetOpenAPIResponseObject, error) {
	return nil, unbuilt()
}
