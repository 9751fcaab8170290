package comet

import (
	"fmt"
	"log/slog"

	"github.com/cometbft/cometbft/libs/log"
)

// consensusFailed is what CometBFT says when it decides no further block: it has
// caught a panic of its own, with which it answers whatever it cannot write, and
// errors of the application. Nothing else of it says so.
const consensusFailed = "CONSENSUS FAILURE!!!"

// engineLog writes CometBFT's log to ours. What it calls information is about
// every step of every round.
type engineLog struct {
	log    *slog.Logger
	failed func(error) // called when it decides no further block
}

func (l engineLog) Debug(string, ...any)            {}
func (l engineLog) Info(msg string, keyvals ...any) { l.log.Debug(msg, keyvals...) }
func (l engineLog) Error(msg string, keyvals ...any) {
	if msg == consensusFailed {
		l.failed(reasonIn(keyvals))
		return
	}
	l.log.Warn(msg, keyvals...)
}
func (l engineLog) With(keyvals ...any) log.Logger {
	return engineLog{l.log.With(keyvals...), l.failed}
}

// reasonIn is what a line of the log says as its error.
func reasonIn(keyvals []any) error {
	for i := 0; i+1 < len(keyvals); i += 2 {
		if keyvals[i] != "err" {
			continue
		}
		if err, ok := keyvals[i+1].(error); ok {
			return err
		}
		return fmt.Errorf("%v", keyvals[i+1])
	}
	return fmt.Errorf("it does not say why")
}
