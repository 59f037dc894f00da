// What a browser makes of a page, with all that is folded opened.
document.querySelectorAll('details').forEach(one => one.open = true);
const widest = [...document.querySelectorAll('body *')].filter(one => !one.closest('svg') && !one.closest('thead'));
const rgb = text => text.match(/[\d.]+/g).map(Number);
const light = text => {
  const [r, g, b] = rgb(text).map(one => one / 255).map(one => one <= 0.03928 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const behind = one => {
  while (one && rgb(getComputedStyle(one).backgroundColor)[3] === 0) one = one.parentElement;
  return getComputedStyle(one || document.documentElement).backgroundColor;
};
const contrast = one => {
  const style = getComputedStyle(one), colour = one.closest('svg') ? style.fill : style.color;
  const [a, b] = [light(colour), light(behind(one.closest('svg') ? one.closest('svg').parentElement : one))].sort((x, y) => y - x);
  return (a + 0.05) / (b + 0.05);
};
const texts = [...document.querySelectorAll('body *')].filter(one => [...one.childNodes].some(node => node.nodeType === 3 && node.textContent.trim()));
const said = {
  width: document.documentElement.clientWidth,
  scrolled: document.documentElement.scrollWidth,
  cut: widest.filter(one => one.getBoundingClientRect().right > document.documentElement.clientWidth + 1).map(one => one.outerHTML.slice(0, 90)),
  asked: performance.getEntriesByType('resource').map(one => one.name),
  headings: [...document.querySelectorAll('h1, h2, h3, h4')].map(one => Number(one.tagName[1])),
  loose: [...document.querySelectorAll('svg')].filter(one => !one.closest('table') && !one.closest('.strip') && !document.getElementById(one.parentElement.getAttribute('aria-describedby'))).length,
  unnamed: [...document.querySelectorAll('svg')].filter(one => !one.getAttribute('aria-hidden') && !one.getAttribute('aria-label')).length,
  faint: texts.filter(one => !['SCRIPT', 'STYLE', 'TITLE'].includes(one.tagName) && contrast(one) < 4.5).map(one => one.outerHTML.slice(0, 90)),
};
document.title = JSON.stringify(said);
