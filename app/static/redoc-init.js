// ReDoc's badge has a picture on its makers' host. No picture of another host is asked for; ReDoc drops what fails.
const setAttribute = Element.prototype.setAttribute;
Element.prototype.setAttribute = function (name, value) {
  const picture = this instanceof HTMLImageElement && name === "src";
  const host = picture ? new URL(value, location).host : "";
  setAttribute.call(this, name, host && host !== location.host ? "data:," : value);
};
