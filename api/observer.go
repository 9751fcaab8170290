package api

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/gin-gonic/gin"
)

// Observer hears of each request, for metrics. It is called by many requests at
// once and must not block.
type Observer interface {
	// Began is called when a request has reached an operation of openapi.yaml.
	Began(operation string)
	// Ended is called when any request has been answered: after Began where it
	// has an operation.
	Ended(Exchange)
}

// Exchange is a request and its answer, without anything that names who asked.
type Exchange struct {
	Operation string        // the operation's id; empty: no route, or over a limit
	Status    int           // as sent; 0: the client went before
	Took      time.Duration // until the last byte was written
	Panicked  bool
}

// exchangeKey finds the *Exchange of a request that is observed.
type exchangeKey struct{}

func exchangeOf(ctx context.Context) *Exchange {
	x, _ := ctx.Value(exchangeKey{}).(*Exchange)
	return x
}

// observe tells o of each request to next.
func observe(o Observer, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		x, began := &Exchange{}, time.Now()
		sent := &statusWriter{ResponseWriter: w}
		defer func() {
			x.Status, x.Took = sent.status, time.Since(began)
			o.Ended(*x)
		}()
		next.ServeHTTP(sent, r.WithContext(context.WithValue(r.Context(), exchangeKey{}, x)))
	})
}

// name notes which operation a request has reached.
func (t routeTable) name(o Observer) gin.HandlerFunc {
	return func(c *gin.Context) {
		if route := t[routeName{c.Request.Method, c.FullPath()}]; route != nil {
			id := route.Operation.OperationID // with a capital, as the generator embeds it
			began(c.Request.Context(), o, strings.ToLower(id[:1])+id[1:])
		}
	}
}

// began notes that a request has reached an operation.
func began(ctx context.Context, o Observer, operation string) {
	if x := exchangeOf(ctx); x != nil {
		x.Operation = operation
		o.Began(operation)
	}
}

// statusWriter knows what status was sent.
type statusWriter struct {
	http.ResponseWriter
	status int
}

func (s *statusWriter) WriteHeader(status int) {
	if s.status == 0 && status >= 200 {
		s.status = status
	}
	s.ResponseWriter.WriteHeader(status)
}

func (s *statusWriter) Write(b []byte) (int, error) {
	if s.status == 0 {
		s.status = http.StatusOK
	}
	return s.ResponseWriter.Write(b)
}

// FlushError, Flush and Unwrap keep streams working, as in httpx.Recover.
func (s *statusWriter) FlushError() error {
	if s.status == 0 {
		s.status = http.StatusOK
	}
	return http.NewResponseController(s.ResponseWriter).Flush()
}

func (s *statusWriter) Flush() { _ = s.FlushError() }

func (s *statusWriter) Unwrap() http.ResponseWriter { return s.ResponseWriter }
