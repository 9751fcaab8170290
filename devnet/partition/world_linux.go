package partition

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"tunic/devnet"
)

// insideVar says, in the environment, that the process is in namespaces of its own.
const insideVar = "TUNIC_INSIDE_NAMESPACES"

// Inside reports whether this process is in network and mount namespaces of its own;
// where it is not, and may make some, cmd is what starts it again in them. why says
// what is missing else.
func Inside(args []string) (inside bool, cmd *exec.Cmd, why string) {
	if os.Getenv(insideVar) == "1" {
		return true, nil, ""
	}
	if os.Geteuid() != 0 {
		return false, nil, "network namespaces need root"
	}
	if _, err := exec.LookPath("ip"); err != nil {
		return false, nil, NeedsIP
	}
	probe := exec.Command("sh", "-c", "mount --make-rprivate / && ip link set lo up && ip link add name probe0 type bridge && ip link add name probe1 type veth peer name probe2")
	probe.SysProcAttr = own()
	if out, err := probe.CombinedOutput(); err != nil {
		return false, nil, fmt.Sprintf("this machine gives no network namespaces: %v %s", err, out)
	}
	exe, err := os.Executable()
	if err != nil {
		return false, nil, err.Error()
	}
	cmd = exec.Command(exe, args...)
	cmd.Env = append(os.Environ(), insideVar+"=1")
	cmd.SysProcAttr = own()
	return false, cmd, ""
}

// own is a process in namespaces of its own, that ends with this one.
func own() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
}

// world is a namespace for each validator. Links between validators go over two
// bridges, half of the validators at each, and one cable between; this process asks
// their APIs over a third.
type world struct {
	dir   string
	count int
}

const (
	linkPort, apiPort = 26656, 8400
	cable             = "mid0"
)

func validatorNS(i int) string { return fmt.Sprintf("v%d", i+1) }

func (w *world) api(i int) string  { return fmt.Sprintf("10.8.2.%d:%d", i+1, apiPort) }
func (w *world) link(i int) string { return fmt.Sprintf("10.8.1.%d:%d", i+1, linkPort) }

// place is where devnet starts validator i.
func (w *world) place(i int) devnet.Place {
	return devnet.Place{HTTP: w.api(i), Listen: w.link(i), Run: []string{"ip", "netns", "exec", validatorNS(i)}}
}

// newWorld makes the namespaces, and a small disk for the last validator's folder at
// disk. All of it ends with the process's own namespaces.
func newWorld(count int, disk string, diskBytes int) (*world, error) {
	w := &world{count: count}
	if err := os.MkdirAll("/run/netns", 0o755); err != nil {
		return nil, err
	}
	lines := []string{
		"mount --make-rprivate /",
		"mount -t tmpfs tmpfs /run/netns",
		"ip link set lo up",
		"ip link add left type bridge", "ip link add right type bridge", "ip link add apis type bridge",
		"ip link add " + cable + " type veth peer name mid1",
		"ip link set " + cable + " master left", "ip link set mid1 master right",
		"ip link set left up", "ip link set right up", "ip link set apis up", "ip link set " + cable + " up", "ip link set mid1 up",
		"ip addr add 10.8.2.254/24 dev apis",
	}
	for i := range count {
		ns, side := validatorNS(i), "left"
		if i >= count/2 {
			side = "right"
		}
		lines = append(lines, "ip netns add "+ns, fmt.Sprintf("ip netns exec %s ip link set lo up", ns))
		for _, x := range []struct{ name, bridge, addr string }{
			{"links", side, fmt.Sprintf("10.8.1.%d/24", i+1)}, {"api", "apis", fmt.Sprintf("10.8.2.%d/24", i+1)},
		} {
			lines = append(lines,
				fmt.Sprintf("ip link add %s%d type veth peer name %sin netns %s", x.name, i+1, x.name, ns),
				fmt.Sprintf("ip link set dev %s%d master %s", x.name, i+1, x.bridge),
				fmt.Sprintf("ip link set dev %s%d up", x.name, i+1),
				fmt.Sprintf("ip netns exec %s ip addr add %s dev %sin", ns, x.addr, x.name),
				fmt.Sprintf("ip netns exec %s ip link set dev %sin up", ns, x.name))
		}
	}
	for _, l := range lines {
		if err := run(l); err != nil {
			return nil, err
		}
	}
	if err := os.MkdirAll(disk, 0o700); err != nil {
		return nil, err
	}
	if err := syscall.Mount("tmpfs", disk, "tmpfs", 0, fmt.Sprintf("size=%d,mode=0700", diskBytes)); err != nil {
		return nil, fmt.Errorf("a small disk at %s: %w", disk, err)
	}
	w.dir = disk
	return w, nil
}

// close gives the small disk back to its folder.
func (w *world) close() { _ = syscall.Unmount(w.dir, syscall.MNT_DETACH) }

func run(line string) error {
	words := strings.Fields(line)
	if out, err := exec.Command(words[0], words[1:]...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", line, err, out)
	}
	return nil
}

// cut takes the cable between the halves away, or puts it back.
func (w *world) cut(yes bool) error {
	state := "up"
	if yes {
		state = "down"
	}
	return run("ip link set " + cable + " " + state)
}

// fill leaves nothing of the small disk; free gives it back.
func (w *world) fill() error {
	f, err := os.Create(filepath.Join(w.dir, "filler"))
	if err != nil {
		return err
	}
	defer f.Close()
	block := make([]byte, 1<<16)
	for size := len(block); size > 0; {
		if _, err := f.Write(block[:size]); err != nil {
			size /= 2 // down to the last byte
		}
	}
	return nil
}

func (w *world) free() error { return os.Remove(filepath.Join(w.dir, "filler")) }
