// Package evidence decides whether words that a judge quotes really are the
// candidate's own words, and where they stand in the answer.
//
// It finds quotes (exact after folding, then the closest window), refuses
// those that only repeat the question or the guidance, and inspects an answer
// for copied, echoed, stuffed, hidden or instruction-like text. It is pure:
// no clock, no network, no opinion about points.
//
// All offsets are Unicode code points of the answer exactly as it was sent.
package evidence

// Match says how a quote was found.
type Match string

// The ways to find a quote: the same words after folding case, width, white
// space, quotes and dashes; or the window of the answer closest to it.
const (
	Exact Match = "exact"
	Fuzzy Match = "fuzzy"
)

// Quote is a passage of the answer: Text is exactly the slice [Start, End).
type Quote struct {
	Text  string `json:"quote"`
	Start int    `json:"start"`
	End   int    `json:"end"`
	Match Match  `json:"match"`
}

// Flag names a finding of Inspect.
type Flag string

// The flags. They are data beside a score and never change it silently.
const (
	InstructionLike Flag = "instruction_like"
	CopiedSample    Flag = "copied_sample"
	QuestionEcho    Flag = "question_echo"
	GuidanceEcho    Flag = "guidance_echo" // the rubric's other texts, too
	KeywordStuffing Flag = "keyword_stuffing"
	HiddenText      Flag = "hidden_text"
)

// Flagged is a passage of the answer that raised a flag.
type Flagged struct {
	Flag  Flag `json:"flag"`
	Start int  `json:"start"`
	End   int  `json:"end"`
}

// Integrity is what Inspect found: each flag once, and every passage that
// raised one, in order of Start.
type Integrity struct {
	Flags []Flag    `json:"flags"`
	Spans []Flagged `json:"spans"`
}

// Has reports whether the flag was raised.
func (in Integrity) Has(f Flag) bool {
	for _, x := range in.Flags {
		if x == f {
			return true
		}
	}
	return false
}

// Reason says why a quote does not count.
type Reason string

// The reasons for which Verify drops a quote.
const (
	NotFound    Reason = "not_found"   // the answer does not say this
	NoWords     Reason = "no_words"    // it says nothing: signs or function words only
	Echo        Reason = "echo"        // it repeats the question, the guidance or the rubric
	Instruction Reason = "instruction" // it lies in text that looks like an instruction to the judge
	Hidden      Reason = "hidden"      // it lies in hidden text
	Stuffing    Reason = "stuffing"    // it lies in a heap of keywords
	Duplicate   Reason = "duplicate"   // it lies in another quote
	Surplus     Reason = "surplus"     // there are enough quotes without it
)

// Dropped is a quote that does not count.
type Dropped struct {
	Quote  string
	Reason Reason
}
