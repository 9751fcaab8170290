package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"tunic/internal/scripttest"
	"tunic/internal/testenv"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"tunic-validator": main})
}

// TestScript runs the scripts in testdata/script against the program itself, with
// tunic beside it.
func TestScript(t *testing.T) {
	beside := filepath.Dir(testenv.Program(t, "tunic"))
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(env *testscript.Env) error {
			env.Setenv("PATH", env.Getenv("PATH")+string(os.PathListSeparator)+beside)
			env.Setenv("TUNIC_HOME", env.WorkDir+"/home")
			env.Setenv("TUNIC_PASSPHRASE", "open sesame")
			env.Setenv("NO_COLOR", "1")
			return nil
		},
		Cmds: scripttest.Commands(nil),
	})
}
