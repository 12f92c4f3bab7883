package web_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"time"

	"github.com/stretchr/testify/require"
)

// Axe looks for what keeps people out. It is no part of the repository.
const (
	axeVersion = "4.14.1"
	axeSum     = "e6b0ce02b84d892e2e33e403485e7f3d6c29e2be6df65daf44d89ba564139745"
)

// axe is the script, fetched with npm when this machine has not got it yet.
var axe = sync.OnceValues(func() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	folder := filepath.Join(cache, "gradus-test")
	name := filepath.Join(folder, "axe-core-"+axeVersion+".tgz")
	packed, err := os.ReadFile(name)
	if err != nil {
		if err := os.MkdirAll(folder, 0o755); err != nil {
			return "", err
		}
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
		defer cancel()
		npm := exec.CommandContext(ctx, "npm", "pack", "--silent", "axe-core@"+axeVersion, "--pack-destination", folder)
		if said, err := npm.CombinedOutput(); err != nil {
			return "", fmt.Errorf("get axe-core, which looks for what keeps people out: npm pack: %w\n%s\n"+
				"Run \"sh .ci/deps npm\" to have npm, or put the package axe-core %s from npm at %s", err, said, axeVersion, name)
		}
		if packed, err = os.ReadFile(name); err != nil {
			return "", err
		}
	}
	if sum := sha256.Sum256(packed); hex.EncodeToString(sum[:]) != axeSum {
		_ = os.Remove(name)
		return "", fmt.Errorf("%s is not the axe-core %s that the tests were written with; it has been removed", name, axeVersion)
	}
	unzipped, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return "", err
	}
	for files := tar.NewReader(unzipped); ; {
		file, err := files.Next()
		if err != nil {
			return "", fmt.Errorf("read %s: %w", name, err)
		}
		if file.Name == "package/axe.min.js" {
			script, err := io.ReadAll(files)
			return string(script), err
		}
	}
})

// What axe is to look for: everything it knows, or what the scheme of colours
// alone decides.
const (
	everything = `"wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"`
	colours    = `"color-contrast", "link-in-text-block"`
)

// accessible asserts that axe finds nothing serious in the page as it stands.
func (b *tab) accessible(where, rules string) {
	b.Helper()
	script, err := axe()
	require.NoError(b, err)
	eval[bool](b, script+"\n;true")
	found := eval[[]struct {
		ID, Impact, Help string
		Nodes            []struct{ HTML, FailureSummary string }
	}](b, `axe.run(document, {resultTypes: ["violations"], runOnly: [`+rules+`]}).then(r => r.violations)`)
	for _, v := range found {
		if v.Impact != "serious" && v.Impact != "critical" {
			continue
		}
		for _, n := range v.Nodes[:min(len(v.Nodes), 5)] {
			b.Errorf("%s: %s (%s): %s\n%s\n%s", where, v.ID, v.Impact, v.Help, n.HTML, n.FailureSummary)
		}
	}
}
