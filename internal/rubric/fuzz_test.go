package rubric_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/gradus-ai/gradus/internal/rubric"
)

// Claim: whatever comes in, Parse answers in time; what it accepts can be
// graded by, and written out again and read back has the same digests; what it
// refuses it refuses with faults that stand in the file.
func FuzzParse(f *testing.F) {
	for _, folder := range []string{"valid", "invalid"} {
		files, err := filepath.Glob(filepath.Join("testdata", folder, "*.yaml"))
		if err != nil {
			f.Fatal(err)
		}
		for _, file := range files {
			data, err := os.ReadFile(file)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(data)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		// A parser that hangs never returns to be measured.
		watchdog := time.AfterFunc(10*time.Second, func() { panic(fmt.Sprintf("parsing hangs on %q", data)) })
		set, err := rubric.Parse("fuzz.yaml", data)
		watchdog.Stop()
		if err != nil {
			refusal(t, err)
			return
		}
		gradable(t, set)

		again, err := json.Marshal(set) // JSON is YAML, and quotes all texts
		if err != nil {
			t.Fatalf("marshal: %v", err)
		}
		back, err := rubric.Parse("again.yaml", again)
		if err != nil {
			t.Fatalf("what was accepted is refused when written out: %v\n%s", err, again)
		}
		if back.Digest() != set.Digest() {
			t.Fatalf("the digest changed on the way:\n%s", again)
		}
	})
}

func refusal(t *testing.T, err error) {
	t.Helper()
	var faults rubric.Faults
	if !errors.As(err, &faults) || len(faults) == 0 || !errors.Is(err, rubric.ErrInvalid) {
		t.Fatalf("refused without faults: %#v", err)
	}
	for _, e := range faults {
		if e.Reason == "" || e.Path != "fuzz.yaml" {
			t.Fatalf("a fault without reason or path: %#v", e)
		}
		if e.Line < 0 || e.Line > 0 && (e.Column < 1 || e.Excerpt == "") {
			t.Fatalf("a fault without its place: %#v", e)
		}
	}
	if text := err.Error(); !utf8.ValidString(text) || strings.ContainsFunc(text, func(r rune) bool { return unicode.IsControl(r) && r != '\n' && r != '\t' }) {
		t.Fatalf("not fit for a terminal: %q", text)
	}
}

var id = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,63}$`)

func gradable(t *testing.T, set *rubric.Set) {
	t.Helper()
	if !id.MatchString(set.ID) || set.ID == rubric.InlineSet || set.Version != rubric.Version || len(set.Questions) == 0 {
		t.Fatalf("accepted set %q, version %d, %d questions", set.ID, set.Version, len(set.Questions))
	}
	refs := make(map[string]bool)
	for _, q := range set.Questions {
		if !id.MatchString(q.ID) || q.Ref != set.ID+"/"+q.ID || refs[q.Ref] {
			t.Fatalf("accepted question %q as %q", q.ID, q.Ref)
		}
		refs[q.Ref] = true
		if strings.TrimSpace(q.Text) == "" || len(q.Criteria) > rubric.MaxCriteria {
			t.Fatalf("accepted question %q with %d criteria", q.Text, len(q.Criteria))
		}
		core, sum, ids := 0, 0.0, make(map[string]bool)
		for _, c := range q.Criteria {
			if !id.MatchString(c.ID) || ids[c.ID] || strings.TrimSpace(c.Statement) == "" {
				t.Fatalf("accepted criterion %q: %q", c.ID, c.Statement)
			}
			ids[c.ID] = true
			switch c.Kind {
			case rubric.Core:
				core++
				sum += c.Weight
			case rubric.Bonus, rubric.Pitfall:
			default:
				t.Fatalf("accepted kind %q", c.Kind)
			}
			if math.IsNaN(c.Weight) || math.Abs(c.Weight) > 100 || c.Weight == 0 || (c.Weight < 0) != (c.Kind == rubric.Pitfall) {
				t.Fatalf("accepted weight %g of a %s criterion", c.Weight, c.Kind)
			}
		}
		if core == 0 || math.Abs(sum-rubric.CoreTotal) > rubric.WeightTolerance {
			t.Fatalf("accepted %d core criteria of %g points", core, sum)
		}
	}
}
