package main

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"tunic/api/client"
)

// advancing shows on a terminal how far the ledger's clock has come on its way
// over d, until stop is called. It asks for the head, which says the time.
func (a *app) advancing(ctx context.Context, api *client.Client, d time.Duration) (stop func()) {
	if !terminal(a.Err) || a.json() {
		return func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		begin, ok := ledgerTime(ctx, api)
		if !ok {
			return
		}
		p := mpb.New(mpb.WithOutput(a.Err), mpb.WithRefreshRate(200*time.Millisecond))
		bar := p.AddBar(d.Milliseconds(), mpb.BarRemoveOnComplete(),
			mpb.PrependDecorators(decor.Name("advancing ")), mpb.AppendDecorators(decor.Percentage(decor.WCSyncSpace), decor.Name(" "), decor.Elapsed(decor.ET_STYLE_GO)))
		tick := time.NewTicker(200 * time.Millisecond)
		defer tick.Stop()
		for ctx.Err() == nil {
			select {
			case <-ctx.Done():
			case <-tick.C:
				if now, ok := ledgerTime(ctx, api); ok {
					bar.SetCurrent(min(now-begin, d.Milliseconds()-1)) // whole when it has answered
				}
			}
		}
		bar.Abort(true)
		p.Wait()
	}()
	return func() {
		cancel()
		<-done
	}
}

// ledgerTime is the head's time in milliseconds.
func ledgerTime(ctx context.Context, api *client.Client) (int64, bool) {
	res, err := api.GetStatus(ctx)
	if err != nil {
		return 0, false
	}
	defer res.Body.Close()
	var x client.Status
	err = json.NewDecoder(io.LimitReader(res.Body, 1<<20)).Decode(&x)
	return x.TimeMs, err == nil && res.StatusCode == http.StatusOK
}
