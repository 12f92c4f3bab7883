package text

import "strings"

// stopwords are English function words: they hold a sentence together and say
// nothing of its subject. Negations are not among them. Apostrophes are gone by
// the time a word is looked up here (see analyse).
var stopwords = set(`
	a an the this that these those such same other another each every either both all any some much many more most few
	several enough own
	i me my mine myself we us our ours ourselves you your yours yourself yourselves he him his himself she her hers
	herself it its itself they them their theirs themselves one who whom whose which what whatever whoever someone
	somebody something anyone anybody anything everyone everybody everything
	am is are was were be been being have has had having do does did doing done can could will would shall should may
	might must ought
	and or but if because as until while although though since unless whereas whether than so yet
	of at by for with about against between among into onto through throughout during above below to toward towards from
	up upon down in out on off over under within along across around behind beside besides beyond near per via
	again further then once here there when where why how just only also too very quite rather almost even still already
	ever now however therefore thus hence otherwise instead really perhaps maybe like
	get got let etc eg ie vs e.g i.e
`)

// negators turn what they stand before into its opposite.
var negators = set(`not no never none nobody nothing nowhere neither nor without hardly scarcely barely`)

func set(words string) map[string]bool {
	out := map[string]bool{}
	for _, w := range strings.Fields(words) {
		out[w] = true
	}
	return out
}
