package devnet

import (
	"os/exec"
	"syscall"
)

// setDeathSignal ends the process where this one dies without ending it.
func setDeathSignal(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM, Setpgid: true}
}
