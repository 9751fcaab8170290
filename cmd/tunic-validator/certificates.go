package main

import (
	"net/http"
	"path/filepath"
	"time"

	"tunic/cmd/internal/cli"
	"tunic/ledger/comet"
	"tunic/node"
)

// snapshotSource is where a folder's validator gets what it holds snapshots against:
// the ledgers of its network file, and the checkpoint there, if it has one.
func (h home) snapshotSource() (*comet.Sync, error) {
	file := filepath.Join(h.dir, node.NetworkFile)
	n, err := node.ReadNetwork(file)
	if err != nil {
		return nil, err
	}
	s := &comet.Sync{}
	if s.Certificate, err = comet.CertificatesOf(&http.Client{Timeout: 10 * time.Second}, n.URLs...); err != nil {
		return nil, cli.Fail(cli.Failed, "no_ledgers", "no ledger to ask for certificates", "urls in %s: %v; or begin without --from-snapshot", file, err)
	}
	if c := n.Checkpoint; c != nil {
		s.Height, s.Hash = c.Height+1, c.Commit
	}
	return s, nil
}
