package comet

import (
	"log/slog"

	"github.com/cometbft/cometbft/libs/log"
)

// engineLog writes CometBFT's log to ours. What it calls information is about
// every step of every round.
type engineLog struct{ log *slog.Logger }

func (l engineLog) Debug(string, ...any)             {}
func (l engineLog) Info(msg string, keyvals ...any)  { l.log.Debug(msg, keyvals...) }
func (l engineLog) Error(msg string, keyvals ...any) { l.log.Warn(msg, keyvals...) }
func (l engineLog) With(keyvals ...any) log.Logger   { return engineLog{l.log.With(keyvals...)} }
