// SPDX-License-Identifier: GPL-2.0-only
/* Rules in, from text. main.c has their grammar. */

#include <linux/err.h>
#include <linux/errno.h>
#include <linux/kernel.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "rules.h"

#ifdef RULES_POSSIBLE

void rules_free(struct rules_set *set)
{
	unsigned int i;

	if (!set)
		return;
	for (i = 0; i < set->funcs; i++)
		kvfree(set->func[i]);
	for (i = 0; i < set->rules; i++)
		kvfree(set->rule[i]);
	kvfree(set);
}

static bool rules_name_ok(const char *s)
{
	return *s && strlen(s) < RULES_NAME;
}

/* Reads NAME[,NAME] into f. */
static int rules_buses(struct rules_func *f, char *list)
{
	char *bus;

	while ((bus = strsep(&list, ","))) {
		if (!rules_name_ok(bus) || f->buses == RULES_BUSES)
			return -EINVAL;
		strscpy(f->bus[f->buses++], bus, RULES_NAME);
	}
	return 0;
}

/*
 * Finds or makes the function that "FUNC [bus=...]" names. upto: of one that is made
 * only so many calls are counted.
 */
static struct rules_func *rules_find(struct rules_set *set, char *head, unsigned int upto)
{
	char *symbol = strsep(&head, " "), *bus = head ? strim(head) : "";
	char name[RULES_NAME];
	struct rules_func *f;
	unsigned int i;

	if (!rules_name_ok(symbol) ||
	    snprintf(name, sizeof(name), *bus ? "%s[%s]" : "%s", symbol, bus) >= sizeof(name))
		return ERR_PTR(-EINVAL);
	for (i = 0; i < set->funcs; i++)
		if (!strcmp(set->func[i]->name, name))
			return set->func[i];
	if (upto ? set->counts == RULES_COUNTS : set->funcs - set->counts == RULES_FUNCS)
		return ERR_PTR(-E2BIG);
	f = kvzalloc(struct_size(f, seen, upto ? 0 : RULES_LOCKS), GFP_KERNEL);
	if (!f)
		return ERR_PTR(-ENOMEM);
	f->error = -EINPROGRESS;
	f->upto = upto;
	set->counts += !!upto;
	set->func[set->funcs++] = f;
	strscpy(f->name, name, sizeof(f->name));
	strscpy(f->symbol, symbol, sizeof(f->symbol));
	if (*bus && (strncmp(bus, "bus=", 4) || rules_buses(f, bus + 4)))
		return ERR_PTR(-EINVAL);
	return f;
}

/* Reads "LOCK(w)", "LOCK(r)", or "LOCK" where that is allowed. */
static int rules_parse_alt(struct rules_alt *alt, char *s, bool bare)
{
	size_t len = strlen(s);

	alt->mode = HELD_READ;
	if (len > 3 && (!strcmp(s + len - 3, "(w)") || !strcmp(s + len - 3, "(r)"))) {
		if (s[len - 2] == 'w')
			alt->mode = HELD_WRITE;
		s[len - 3] = 0;
	} else if (!bare) {
		return -EINVAL;
	}
	if (!rules_name_ok(s))
		return -EINVAL;
	strscpy(alt->lock, s, sizeof(alt->lock));
	return 0;
}

static int rules_parse_term(struct rules_term *t, char *s)
{
	char *alt;
	int err;

	t->forbid = *s == '!';
	s += t->forbid;
	while ((alt = strsep(&s, "|"))) {
		if (t->alts == RULES_ALTS || (t->forbid && t->alts))
			return -EINVAL;
		err = rules_parse_alt(&t->alt[t->alts++], alt, t->forbid);
		if (err)
			return err;
	}
	return 0;
}

static int rules_parse_rule(struct rules_set *set, char *head, char *terms)
{
	struct rules_func *f = rules_find(set, strim(head), 0);
	struct rules_rule *rule;
	char *term;
	int err = 0;

	if (IS_ERR(f))
		return PTR_ERR(f);
	if (f->upto)
		return -EINVAL;
	if (set->rules == RULES_RULES)
		return -E2BIG;
	rule = kvzalloc(sizeof(*rule), GFP_KERNEL);
	if (!rule)
		return -ENOMEM;
	set->rule[set->rules++] = rule;
	rule->func = f;
	terms = strim(terms);
	if (strscpy(rule->text, terms, sizeof(rule->text)) < 0)
		return -EINVAL;
	while (!err && (term = strsep(&terms, " "))) {
		if (!*term)
			continue;
		err = rule->terms == RULES_TERMS ? -EINVAL : rules_parse_term(&rule->term[rule->terms++], term);
	}
	return rule->terms ? err : -EINVAL;
}

static int rules_parse_widen(struct rules_set *set, char *s)
{
	struct rules_func *f = rules_find(set, strsep(&s, " "), 0);
	unsigned int us;

	if (IS_ERR(f))
		return PTR_ERR(f);
	if (f->upto || !s || kstrtouint(strim(s), 10, &us) || us > RULES_DELAY)
		return -EINVAL;
	f->widen = us;
	return 0;
}

/* Reads "FUNC [bus=...]" or "FUNC upto=N". */
static int rules_parse_watch(struct rules_set *set, char *s)
{
	char *upto = strstr(s, " upto=");
	unsigned int funcs = set->funcs, calls;
	struct rules_func *f;

	if (!upto)
		return PTR_ERR_OR_ZERO(rules_find(set, s, 0));
	*upto = 0;
	if (kstrtouint(upto + strlen(" upto="), 10, &calls) || !calls)
		return -EINVAL;
	f = rules_find(set, strim(s), calls);
	if (IS_ERR(f))
		return PTR_ERR(f);
	return funcs == set->funcs ? -EINVAL : 0;	/* what a rule is about must not be let go */
}

static int rules_parse_line(struct rules_set *set, char *line)
{
	char *comment = *line == '#' ? line : strstr(line, " #"), *colon;

	if (comment)
		*comment = 0;
	line = strim(line);
	if (!*line)
		return 0;
	if (!strncmp(line, "widen ", 6))
		return rules_parse_widen(set, strim(line + 6));
	if (!strncmp(line, "watch ", 6))
		return rules_parse_watch(set, strim(line + 6));
	colon = strchr(line, ':');
	if (!colon)
		return -EINVAL;
	*colon = 0;
	return rules_parse_rule(set, line, colon + 1);
}

struct rules_set *rules_parse(char *text)
{
	struct rules_set *set = kvzalloc(sizeof(*set), GFP_KERNEL);
	unsigned int number = 0;
	char *line;
	int err = 0;

	if (!set)
		return ERR_PTR(-ENOMEM);
	while (!err && (line = strsep(&text, "\n"))) {
		number++;
		err = rules_parse_line(set, line);
	}
	if (!err)
		return set;
	pr_err("plugstorm_rules: line %u: error %d\n", number, err);
	rules_free(set);
	return ERR_PTR(err);
}

#endif
