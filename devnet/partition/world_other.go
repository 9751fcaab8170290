//go:build !linux

package partition

import (
	"errors"
	"os/exec"

	"tunic/devnet"
)

// Inside says that only Linux has network namespaces.
func Inside([]string) (inside bool, again *exec.Cmd, why string) {
	return false, nil, "network namespaces need Linux"
}

type world struct{}

var errLinux = errors.New("partition: network namespaces need Linux")

func newWorld(int, string, int) (*world, error) { return nil, errLinux }
func (w *world) api(int) string                 { return "" }
func (w *world) place(int) devnet.Place         { return devnet.Place{} }
func (w *world) cut(bool) error                 { return errLinux }
func (w *world) fill() error                    { return errLinux }
func (w *world) free() error                    { return errLinux }
func (w *world) close()                         {}
