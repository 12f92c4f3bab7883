package lexical

// The constants of the method. Those of tune were set on human-scored answers,
// split by question; the others are the prototype's.
const (
	// generalDocs is how many documents the table of English counts for.
	generalDocs = 300
	// numberWeight is the general weight of a number.
	numberWeight = 2.5
	// capMedians bounds a term's weight, in medians of its criterion, so that
	// one rare word cannot decide.
	capMedians = 3
	// longestWindow is how many sentences a window holds at most.
	longestWindow = 3
)

// tuning is the scalars that are tuned.
type tuning struct {
	// asked is the share of the match of the question itself below which there
	// is no credit.
	asked  float64
	demote float64 // what is left of the weight of a word of the question
	// recall, fscore and cosine blend how well a window matches a phrasing.
	recall, fscore, cosine float64
	// window is the share of the best window in a criterion's match; the rest
	// is what the whole answer covers.
	window float64
	// priorLow and priorFull are the matches of credit 0 and 1 for a question
	// that says too little of itself.
	priorLow, priorFull float64
	// An anchored criterion has credit 0 at low + zero·span, 1 at low +
	// full·span, where span is share of the distance from low to high, at
	// least minSpan.
	second, floor, entry, fuzz     float64
	pitfall, shrink, neutral, most float64
	class, anto                    float64
	// denied is the share of a phrasing from which saying its opposite
	// contradicts the criterion.
	denied                                                  float64
	exp                                                     float64
	perPhrasing, bankw, easeRate, easeFrom, special, common float64
	zero, full                                              float64
}

var tune = tuning{
	demote: 0.25, denied: 0.4, exp: .35, second: .5, asked: 0.2, floor: 1, entry: 1.25, fuzz: .6, pitfall: .05, shrink: .7, neutral: 1.7, most: 1, perPhrasing: .06, bankw: .4, easeRate: .3, easeFrom: 8, class: .4, special: .9, common: 4.5, anto: .6,
	recall: 0.5, fscore: 0.3, cosine: 0.2,
	window:   0.6,
	priorLow: 0.15, priorFull: 0.52,
	zero: 1.8, full: 3.5,
}
