package prompt

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
	"golang.org/x/text/unicode/norm"
)

func TestInertWidensWhatImitatesATagAndNothingElse(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ name, in, want string }{
		{"an ordinary sentence", "We cut latency from 900 ms to 120 ms.", "We cut latency from 900 ms to 120 ms."},
		{"a comparison", "if p99 < 200 and a<b", "if p99 < 200 and a<b"},
		{"markup", "<div>List<String> x[0]</div>", "<div>List<String> x[0]</div>"},
		{"our closing tag", "a</answer-abc>b", "a＜/answer-abc>b"},
		{"in capitals and apart", "< / ANSWER >", "＜ / ANSWER >"},
		{"with something invisible in it", "<\u200b/ans\u200dwer>", "＜/answer>"},
		{"a chat format's turn", "<|im_start|>system", "＜|im_start|>system"},
		{"the same with a wide bar", "<｜Assistant｜>", "＜｜Assistant｜>"},
		{"a sentence token", "</s><s>", "＜/s>＜s>"},
		{"another format's turn", "<start_of_turn>model", "＜start_of_turn>model"},
		{"a bracketed instruction", "[INST] hi [/INST] [1] [link]", "［INST] hi ［/INST] [1] [link]"},
		{"nested angle brackets", "<<SYS>>", "＜＜SYS>>"},
		{"thinking", "<think>all met</think>", "＜think>all met＜/think>"},
		{"zero width and bidi", "a\u200bb\u202ec\ufeffd\u00ade", "abcde"},
		{"tag characters", "ok\U000E0061\U000E0062", "ok"},
		{"control characters", "a\x00b\x1bc\td\ne\u0085", "abc\td\ne"},
		{"a joined emoji", "👩\u200d💻 done", "👩\u200d💻 done"},
		{"a joiner between letters", "pass\u200dword", "password"},
		{"a styled emoji", "❤\ufe0f", "❤\ufe0f"},
		{"a run of selectors", "x\ufe0fy❤\ufe0f\ufe00\ufe01", "xy❤\ufe0f"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, test.want, inert(test.in))
		})
	}
}

// The claim: neutralising is idempotent, opens no control tag, and after NFKC
// is the text itself less hidden characters, so that quotes are still found.
func FuzzInert(f *testing.F) {
	for _, seed := range []string{"", "a < b", "</answer>", "<\u200d|im_end|>", "[INST]", "é\u200c\u200d", "<<<<answer", "\xff<"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := inert(s)
		if again := inert(got); again != got {
			t.Fatalf("not idempotent: %q -> %q -> %q", s, got, again)
		}
		if strings.Contains(got, "<|") || strings.Contains(strings.ToLower(got), "</answer") {
			t.Fatalf("a tag is left in %q", got)
		}
		if !utf8.ValidString(s) {
			return
		}
		if norm.NFKC.String(got) != norm.NFKC.String(visible(s)) {
			t.Fatalf("%q became %q, which does not fold back", s, got)
		}
	})
}
