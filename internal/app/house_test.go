package app_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const module = "github.com/gradus-ai/gradus/"

// law is the law of the house: each room, and after it the rooms of ours that
// its code may import. A room that is not listed may import nothing of ours.
var law = [][]string{
	{"internal/config", "internal/access"},
	{"internal/evidence", "internal/text"},
	{"internal/prompt", "internal/rubric"},
	{"internal/judge", "internal/rubric", "internal/evidence"},
	{"internal/judge/lexical", "internal/judge", "internal/rubric", "internal/evidence", "internal/text"},
	{"internal/judge/model", "internal/judge", "internal/rubric", "internal/evidence", "internal/text", "internal/prompt", "internal/llm"},
	{"internal/llm/openai", "internal/llm"},
	{"internal/grading", "internal/rubric", "internal/judge", "internal/evidence", "internal/calibration", "internal/text"},
	{"internal/batch", "internal/grading", "internal/judge", "internal/rubric"},
	{"internal/queue", "internal/batch"},
	{"internal/strict", "internal/api"},
	{"internal/rows", "internal/api", "internal/strict"},
	{"internal/probe", "internal/rubric", "internal/judge", "internal/text"},
	{"internal/eval", "internal/grading", "internal/rubric", "internal/agreement", "internal/calibration", "internal/text"},
	{"internal/importer", "internal/rubric", "internal/text"},
	{"internal/importer/propose", "internal/importer", "internal/rubric", "internal/prompt", "internal/llm"},
	{"internal/store", "internal/access", "internal/once", "internal/grading", "internal/judge", "internal/batch"},
	{"internal/server", "internal/access", "internal/once", "internal/api", "internal/batch", "internal/rows", "internal/strict", "internal/grading", "internal/judge", "internal/rubric", "internal/llm"},
	{"internal/web", "internal/api"},
	{"internal/app", "*"},
	{"cmd/gradus", "*"},
	{"internal/batch/memory", "internal/batch"},
	{"internal/batch/batchtest", "internal/batch", "internal/batch/memory", "internal/judge"},
	{"internal/mcp", "internal/api"},
	{"internal/telemetry", "internal/llm"},
}

// mayImport is the law by room.
var mayImport = func() map[string][]string {
	rooms := make(map[string][]string, len(law))
	for _, l := range law {
		rooms[l[0]] = l[1:]
	}
	return rooms
}()

// onlyHere says which room alone may import a package: a service library has
// one owner, and the pure rooms touch neither network nor disk.
var onlyHere = []struct {
	pkg   string // the package, or a prefix ending in "/"
	rooms []string
}{
	{"github.com/gin-gonic/gin", []string{"internal/server"}},
	{"github.com/danielgtaylor/huma/", []string{"internal/server"}},
	{"github.com/redis/go-redis/", []string{"internal/store", "internal/store/storetest", "internal/queue"}},
	{"github.com/hibiken/asynq", []string{"internal/queue"}},
	{"github.com/standard-webhooks/", []string{"internal/webhook"}},
	{"go.opentelemetry.io/otel/sdk", []string{"internal/telemetry"}},
	{"go.opentelemetry.io/otel/exporters/", []string{"internal/telemetry"}},
	{"github.com/modelcontextprotocol/", []string{"internal/mcp"}},
	{"code.dny.dev/ssrf", []string{"internal/webhook"}},
	{"github.com/alicebob/miniredis/", []string{"internal/store"}},
	{"github.com/sashabaranov/go-openai", []string{"internal/llm/openai"}},
	{"github.com/chromedp/", nil}, // the browser is driven by tests only
}

// pure rooms run in a unit test with no network and no disk.
var pure = []string{"internal/access", "internal/once", "internal/rubric", "internal/prompt", "internal/judge", "internal/judge/lexical", "internal/judge/model", "internal/evidence", "internal/text", "internal/calibration", "internal/grading", "internal/batch", "internal/probe", "internal/importer", "internal/importer/propose"}

// TestImportsRunOneWay reads the files itself: a test that asked the go command
// would be answered from the test cache after the law is broken.
func TestImportsRunOneWay(t *testing.T) {
	t.Parallel()
	root := filepath.Join("..", "..")
	seen := 0
	require.NoError(t, filepath.WalkDir(root, func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			return err
		}
		relative, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		room := path.Dir(filepath.ToSlash(relative))
		source, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, source, parser.ImportsOnly)
		if err != nil {
			return err
		}
		seen++
		for _, spec := range file.Imports {
			pkg, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			judgeImport(t, room, relative, pkg)
		}
		return nil
	}))
	require.Greater(t, seen, 50, "the walk found the house")
}

func judgeImport(t *testing.T, room, file, pkg string) {
	t.Helper()
	if ours, ok := strings.CutPrefix(pkg, module); ok {
		allowed := mayImport[room]
		if !slices.Contains(allowed, "*") && !slices.Contains(allowed, ours) {
			t.Errorf("%s imports %s: %s may import only %v", file, ours, room, allowed)
		}
		return
	}
	for _, rule := range onlyHere {
		if (pkg == rule.pkg || (strings.HasSuffix(rule.pkg, "/") && strings.HasPrefix(pkg, rule.pkg))) && !slices.Contains(rule.rooms, room) {
			t.Errorf("%s imports %s: only %v may", file, pkg, rule.rooms)
		}
	}
	if slices.Contains(pure, room) && (pkg == "net/http" || pkg == "os" || strings.HasPrefix(pkg, "os/")) {
		t.Errorf("%s imports %s: %s touches neither network nor disk", file, pkg, room)
	}
}

// TestOnlyConfigReadsTheEnvironment keeps settings in their one table.
func TestOnlyConfigReadsTheEnvironment(t *testing.T) {
	t.Parallel()
	root := filepath.Join("..", "..")
	require.NoError(t, filepath.WalkDir(root, func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			return err
		}
		source, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		inConfig := strings.Contains(filepath.ToSlash(name), "internal/config/")
		for _, call := range []string{"os.Getenv(", "os.LookupEnv("} {
			if !inConfig && strings.Contains(string(source), call) {
				t.Errorf("%s calls %s…): take the value from config", name, call)
			}
		}
		return nil
	}))
}
