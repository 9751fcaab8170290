package httpx

import "context"

type closingKey struct{}

// WithClosing is a context for a server's requests (http.Server.BaseContext)
// that tells streams when the server begins to end: once closing is closed they
// should say good-bye and return, while the context itself goes on so that other
// requests can finish.
func WithClosing(ctx context.Context, closing <-chan struct{}) context.Context {
	return context.WithValue(ctx, closingKey{}, closing)
}

// Closing is closed when the server that a request came to begins to end; nil,
// which never is, where nobody says so.
func Closing(ctx context.Context) <-chan struct{} {
	c, _ := ctx.Value(closingKey{}).(<-chan struct{})
	return c
}
