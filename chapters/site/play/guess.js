// The page of bets: one card per table; a bet uncovers the paper's numbers and ours. `tables` is in guess_data.js, which
// chapters/site/build.py writes from minidet.experiments.
"use strict";

const bets = new Map(); // title of the table -> whether the row was the paper's best

const best_of = rows => Math.max(...rows.map(row => row.paper));
const by_us = rows => rows.filter(row => row.ours !== null);

function card(table) {
  const body = play.html("tbody", {}), told = play.html("p", { "aria-live": "polite" }, "Which row has the highest AP?");
  const most = best_of(table.rows), ours_most = Math.max(...by_us(table.rows).map(row => row.ours));
  table.rows.forEach((row, i) => {
    const bet = play.html("button", { type: "button", "aria-label": `Bet on ${row.keys.join(", ")}`, click: () => uncover(i) }, "this one");
    body.append(play.html("tr", {}, ...row.keys.map(key => play.html("td", {}, key)), play.html("td", {}, bet),
      play.html("td", {}, "?"), play.html("td", {}, "?")));
  });

  function uncover(chosen) {
    const won = table.rows[chosen].paper === most;
    bets.set(table.title, won);
    [...body.rows].forEach((line, i) => {
      const { paper, ours, deviation, seeds } = table.rows[i], cells = [...line.cells].slice(-3);
      cells[0].replaceChildren(i === chosen ? "your bet" : "");
      cells[1].replaceChildren(number(paper.toFixed(1), paper / most, paper === most));
      cells[2].replaceChildren(ours === null ? "not run"
        : number(ours.toFixed(1) + (seeds > 1 ? ` ± ${deviation.toFixed(1)}` : ""), ours / ours_most, ours === ours_most));
    });
    const theirs = table.rows.filter(row => row.paper === most).map(row => row.keys.join(", ")).join(" and ");
    told.textContent = (won ? "Right: " : "No: ") + `in the paper the best is ${theirs}. ${table.note}`;
    tally();
  }

  const head = ["bet", "the paper's AP", "our AP"].map(name => play.html("th", { scope: "col" }, name));
  return play.html("section", {}, play.html("h2", {}, table.title), told,
    play.html("div", { class: "wide card", tabindex: 0, role: "region", "aria-label": table.title }, play.html("table", {},
      play.html("thead", {}, play.html("tr", {}, ...table.keys.map(key => play.html("th", { scope: "col" }, key)), ...head)), body)));
}

/** A number with a bar below it that says how near to the best it is. */
function number(text, part, best) {
  const bar = play.html("i", { style: `background: var(${best ? "--green" : "--grey"}); width: ${Math.max(0, 100 * part)}%` });
  return play.html("span", {}, best ? play.html("b", {}, text) : text,
    play.html("span", { class: "bar", style: "height: .35rem", "aria-hidden": "true" }, bar));
}

function tally() {
  const right = [...bets.values()].filter(Boolean).length;
  play.find("tally").textContent = `${right} right of ${bets.size} ${bets.size === 1 ? "bet" : "bets"}, ${tables.length} tables`;
}

if (typeof tables === "undefined")
  play.find("tally").textContent = "The numbers are not here: `make site` writes them, and the page is then in runs/site/play.";
else {
  play.find("tables").append(...tables.map(card));
  tally();
}
